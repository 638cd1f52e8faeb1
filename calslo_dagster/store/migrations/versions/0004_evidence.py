"""Evidence: what each measurement could have seen, and the state of the detectors behind it."""

import sqlalchemy as sa
from alembic import op

from calslo_dagster.store.columns import BLOB, DIGEST, FLOAT, INSTANT, INT, NAME, SLICE, WORD, key, optional, required

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Add the columns and the table; what was measured before was measured by thresholds."""
    op.add_column("measurements", sa.Column("mode", WORD, nullable=False, server_default="threshold"))
    for column in optional(debiased=FLOAT, bins=INT, e_value=FLOAT, evidence=FLOAT, detectable=FLOAT, needed=INT):
        op.add_column("measurements", column)
    op.create_table(
        "detector_states",
        *key(slo=NAME, window_end=INSTANT, slice=SLICE),
        *required(digest=DIGEST, state=BLOB),
    )
