"""One SQL view per SLO, `slo_<name>`, so that any SQL client sees an SLO as a table of its own."""

import re
from collections.abc import Iterable
from typing import Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store.schema import measurements, metadata

PREFIX: Final = "slo_"
# PostgreSQL cuts names after 63 bytes.
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,58}")


def sync_views(session: Session, names: Iterable[str]) -> None:
    """Make the views whose names begin with `slo_` those of these SLOs; a view that is right stays untouched.

    The prefix belongs to us: a view of an SLO that no longer exists is removed.
    """
    wanted = {_view(name): name for name in names}
    inspector = sa.inspect(session.connection())
    existing = {view for view in inspector.get_view_names() if view.startswith(PREFIX)}
    columns = list(measurements.c.keys())
    right = {view for view in existing if [c["name"] for c in inspector.get_columns(view)] == columns}
    for view in sorted(existing - (right & set(wanted))):
        session.execute(sa.text(f"DROP VIEW {view}"))
    for view in sorted(set(wanted) - right):
        listed = ", ".join(f'"{column}"' for column in columns)
        session.execute(
            sa.text(f"CREATE VIEW {view} AS SELECT {listed} FROM measurements WHERE slo = '{wanted[view]}'")
        )


def _view(name: str) -> str:
    view = f"{PREFIX}{name}"
    # The name becomes part of a statement, where nothing can be bound.
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} cannot name a view: use lower case letters, digits and underscores, at most 59")
    if view in metadata.tables:
        raise ValueError(f"an SLO cannot be called {name!r}: {view} is a table of the store")
    return view
