"""Rises and returns: how bad an incident was when acknowledged, since when it flaps, and which step was left out."""

import sqlalchemy as sa
from alembic import op

from calslo_dagster.store.columns import INSTANT, INT, WORD, optional

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add the columns; what is open has neither."""
    for column in optional(acked_severity=WORD, flaps_since=INSTANT):
        op.add_column("incidents", column)
    for column in optional(owed=INT):
        op.add_column("escalations", column)
    op.add_column("escalations", sa.Column("pages", INT, nullable=False, server_default="1"))
