"""Trends: where the calibration of each slice is heading, day by day."""

from alembic import op

from calslo_dagster.store.columns import DATE, FLOAT, INT, JSON, NAME, SLICE, TEXT, WORD, key, optional, required

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Create the table."""
    op.create_table(
        "trends",
        *key(slo=NAME, day=DATE, slice=SLICE, quantity=WORD),
        *required(points=INT, direction=WORD),
        *optional(probability=FLOAT, p_degrading=FLOAT, per_day=FLOAT, se=FLOAT, z=FLOAT, limit_low=FLOAT),
        *optional(limit_high=FLOAT, p7=FLOAT, p30=FLOAT),
        *required(forecast=JSON),
        *optional(breach_on=DATE),
        *required(days_needed=INT, reason=TEXT),
    )
