"""Anomalies and causes: hours unlike their season, and what is behind each breach."""

from alembic import op

from calslo_dagster.store.columns import DATE, DIGEST, FLOAT, INSTANT, INT, SLICE, TEXT, WORD, key, required

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Create both tables."""
    op.create_table(
        "breach_causes",
        *key(breach_id=DIGEST, rank=INT),
        *required(kind=WORD, score=FLOAT, evidence=TEXT, advice=TEXT, basis=DIGEST, found_at=INSTANT),
    )
    op.create_table(
        "anomalies",
        *key(day=DATE, slice=SLICE, kind=WORD, starts_at=INSTANT),
        *required(ends_at=INSTANT, value=FLOAT, expected=FLOAT, low=FLOAT, high=FLOAT, score=FLOAT, reason=TEXT),
    )
