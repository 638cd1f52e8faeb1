"""Migrations of the state store, run by functions; there is no ini file.

`versions/` holds one module per change, each frozen once it is released. A table that `schema` describes otherwise than
the migrations build it is a mistake, which `check` and the tests report.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from calslo_dagster.errors import StoreError
from calslo_dagster.store.schema import REVISION, VERSION_TABLE, metadata
from calslo_dagster.store.session import engine_for, is_absent, named_errors, reading, redacted, revision_of, writing

# What keeps the audit log as it was written, which Alembic does not look at. PostgreSQL's can also be turned off.
_TRIGGERS: Final = {
    "sqlite": ("alert_events_no_delete", "alert_events_no_replace", "alert_events_no_update"),
    "postgresql": ("alert_events_no_change", "alert_events_no_truncate"),
}
_ACTIVE_TRIGGERS: Final = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'alert_events'",
    "postgresql": "SELECT tgname FROM pg_trigger WHERE tgrelid = to_regclass('alert_events') AND tgenabled <> 'D'",
}


def upgrade(url: str) -> str:
    """Create or update the store at the URL, all in one transaction; return the revision it is at then."""
    if current(url) == REVISION:
        return REVISION
    with _engine(url) as engine:
        if engine.dialect.name == "sqlite":
            Path(engine.url.database or "").absolute().parent.mkdir(parents=True, exist_ok=True)
        with writing(engine).begin() as connection:
            _run(connection)
    return REVISION


def current(url: str) -> str | None:
    """Return the revision that the store is at, None if it holds none of our tables or does not exist."""
    with _engine(url) as engine:
        if is_absent(engine.url):
            return None
        with reading(engine).connect() as connection:
            return revision_of(connection)


def check(url: str) -> tuple[str, ...]:
    """Return what differs between the store and this version's tables, one line each; nothing when all is well."""
    from alembic.autogenerate import compare_metadata  # noqa: PLC0415 - large, and a store that is up to date needs none of it
    from alembic.migration import MigrationContext  # noqa: PLC0415 - large, and a store that is up to date needs none of it

    if (found := current(url)) != REVISION:
        return (f"revision {found or 'none'}, not {REVISION}",)
    with _engine(url) as engine, reading(engine).connect() as connection:
        context = MigrationContext.configure(connection, opts=comparison())
        changes = [" ".join(repr(change).split()) for change in compare_metadata(context, metadata)]
        return (*changes, *_lost_triggers(connection))


def _lost_triggers(connection: sa.Connection) -> Iterator[str]:
    """Yield the triggers that no longer keep people from changing the audit log."""
    name = connection.dialect.name
    active = set(connection.scalars(sa.text(_ACTIVE_TRIGGERS[name])))
    yield from (
        f"trigger {one} is missing or off, so that the audit log can be changed"
        for one in _TRIGGERS[name]
        if one not in active
    )


def comparison() -> dict[str, Any]:
    """Return how Alembic compares a database with our tables; tables of others are none of our business."""

    def is_ours(name: str | None, type_: str, parents: Any) -> bool:
        return type_ != "table" or name in metadata.tables

    return {
        "target_metadata": metadata,
        "version_table": VERSION_TABLE,
        "compare_type": True,
        "include_name": is_ours,
        # SQLite cannot alter a column; Alembic copies the table instead.
        "render_as_batch": True,
        # SQLite does roll back DDL once BEGIN is ours, which Alembic does not know.
        "transactional_ddl": True,
    }


@contextmanager
def _engine(url: str) -> Iterator[sa.Engine]:
    engine = engine_for(url)
    try:
        with named_errors(engine.url):
            yield engine
    finally:
        engine.dispose()


def _run(connection: sa.Connection) -> None:
    from alembic import command  # noqa: PLC0415 - large, and a store that is up to date needs none of it
    from alembic.config import Config  # noqa: PLC0415 - large, and a store that is up to date needs none of it
    from alembic.util import CommandError  # noqa: PLC0415 - large, and a store that is up to date needs none of it

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise StoreError(
            f"{redacted(connection.engine.url)}: {error}; a newer version of calslo_dagster wrote this store, "
            'run "pip install --upgrade calslo_dagster"'
        ) from error
