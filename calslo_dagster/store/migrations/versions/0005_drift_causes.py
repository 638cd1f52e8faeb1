"""Honest drift: p-values, q-values and events needed of each change, its causes, and distances between scores."""

from alembic import op

from calslo_dagster.store.columns import FLOAT, INSTANT, INT, NAME, SLICE, TEXT, key, optional, required

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Add the columns and the tables; what was reported before has none of them until its week is reported again."""
    for column in optional(p_value=FLOAT, q_value=FLOAT, events_needed=INT):
        op.add_column("drift", column)
    op.create_table(
        "drift_attributions",
        *key(week_end=INSTANT, slice=SLICE, metric=NAME, part=SLICE),
        *optional(current=FLOAT, previous=FLOAT),
        *required(delta=FLOAT, mix=FLOAT, scores=FLOAT, outcome=FLOAT, coverage=FLOAT),
        *required(share_current=FLOAT, share_previous=FLOAT),
    )
    op.create_table(
        "drift_distances",
        *key(week_end=INSTANT, slice=SLICE, name=NAME),
        *required(value=FLOAT, floor=FLOAT, p_value=FLOAT, events=INT, reading=TEXT),
    )
