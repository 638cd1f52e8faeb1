"""Open the state store: one engine per URL, and sessions that read a snapshot or write alone.

Both databases behave alike. A read session sees one state of the database from its first to its last query and cannot
write. A write session is the only one of its lock at a time, so that reading before writing needs no further locks.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, DatabaseError, DataError, IntegrityError
from sqlalchemy.orm import Session

from calslo_dagster.errors import StoreError
from calslo_dagster.store.columns import to_json
from calslo_dagster.store.schema import REVISION, VERSION_TABLE

BUSY_SECONDS: Final = 30
_WRITES: Final = "calslo_writes"
_NO_TABLE: Final = "42P01"
_SECRETS: Final = ("password", "sslpassword")


class Lock(StrEnum):
    """Which other write sessions one waits for; on SQLite it is all of them, since a file has one writer.

    STATE: those that measure; ALERTS: those that decide about alerts, so that an acknowledgement never waits for a long
    measurement; NONE: none, for those that claim and finish deliveries, whose rows guard themselves. What is written
    under ALERTS and NONE is on disk when the session ends, even if the power fails right after.
    """

    STATE = "state"
    ALERTS = "alerts"
    NONE = "none"


# Any numbers will do, as long as every version of this package takes the same.
_LOCK_NUMBERS: Final = {Lock.STATE: int.from_bytes(b"calslo"), Lock.ALERTS: int.from_bytes(b"alerts")}


@dataclass(frozen=True, slots=True)
class Store:
    """A store whose schema is current."""

    engine: sa.Engine

    @property
    def name(self) -> str:
        """The store's URL without its password."""
        return redacted(self.engine.url)

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Yield a session over one consistent state; whatever tries to write in it fails."""
        with named_errors(self.engine.url), Session(reading(self.engine), autoflush=False) as session:
            yield session

    @contextmanager
    def write(self, lock: Lock = Lock.STATE) -> Iterator[Session]:
        """Yield the only session that writes under the lock; commit when the block ends, roll back when it raises."""
        engine = writing(self.engine, lock)
        with named_errors(engine.url), Session(engine, autoflush=False) as session, session.begin():
            # Begins now, not at the first statement: what the block reads first must not change before it writes.
            session.connection()
            yield session

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_store(url: str) -> Store:
    """Return the store at the URL (`sqlite:///path` or `postgresql://...`).

    Raises StoreError when it cannot be reached, does not exist or its schema is not the one of this version.
    """
    engine = engine_for(url)
    try:
        with named_errors(engine.url):
            _require_file(engine.url)
            _require_revision(engine)
    except StoreError:
        engine.dispose()
        raise
    return Store(engine)


def engine_for(url: str) -> sa.Engine:
    """Return an engine for the URL with this package's settings; nothing is connected yet."""
    target = normalized(url)
    options: dict[str, Any] = {"json_serializer": to_json, "hide_parameters": True}
    if target.get_backend_name() == "sqlite":
        # With no isolation level the driver leaves BEGIN to us; its own comes too late, before the first write.
        options["connect_args"] = {"timeout": BUSY_SECONDS, "isolation_level": None}
    else:
        options["connect_args"] = {} if "connect_timeout" in target.query else {"connect_timeout": 10}
        options["pool_pre_ping"] = True
    try:
        engine = sa.create_engine(target, **options)
    except ModuleNotFoundError as error:
        raise StoreError(f'{redacted(target)}: {error}; run `pip install "calslo_dagster[postgres]"`') from error
    if target.get_backend_name() == "sqlite":
        sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin)
    return engine


def normalized(url: str) -> sa.URL:
    """Return the URL with its driver: the standard one for SQLite, psycopg 3 for PostgreSQL, whichever it named."""
    try:
        parsed = sa.make_url(url)
    except (ArgumentError, ValueError) as error:
        raise StoreError(
            "the store's URL cannot be read; write sqlite:///path or postgresql://user@host/name"
        ) from error
    backend = parsed.drivername.partition("+")[0]
    if backend in {"postgresql", "postgres"}:
        return parsed.set(drivername="postgresql+psycopg")
    if backend != "sqlite":
        raise StoreError(f"{redacted(parsed)}: a store lives in SQLite or PostgreSQL, not in {backend}")
    if parsed.database in {None, "", ":memory:"}:
        raise StoreError(f"{redacted(parsed)}: the store needs a file, for example sqlite:///.calslo/calslo.db")
    return parsed.set(drivername="sqlite+pysqlite")


def redacted(url: sa.URL) -> str:
    """Return the URL without secrets, for messages and logs."""
    plain = url.set(drivername=url.get_backend_name()).difference_update_query(_SECRETS)
    return plain.render_as_string(hide_password=True)


def reading(engine: sa.Engine) -> sa.Engine:
    """Return the engine for connections that read one consistent state."""
    if engine.dialect.name == "sqlite":
        return engine
    return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


def writing(engine: sa.Engine, lock: Lock = Lock.STATE) -> sa.Engine:
    """Return the engine for connections that write, one at a time under each lock."""
    return engine.execution_options(**{_WRITES: lock})


@contextmanager
def named_errors(url: sa.URL) -> Iterator[None]:
    """Raise StoreError, with the store's name and what to do, for what a caller cannot have caused."""
    try:
        yield
    except (IntegrityError, DataError):
        raise
    except DatabaseError as error:
        raise StoreError(f"{redacted(url)}: {_explained(error)}") from error


def _explained(error: DatabaseError) -> str:
    said = " ".join(str(error.orig).split())
    if "database is locked" in said or "lock timeout" in said:
        return f"busy for {BUSY_SECONDS} s, another process is writing; try again, or look for a run that hangs"
    if "no such table" in said or getattr(error.orig, "sqlstate", None) == _NO_TABLE:
        return f'{said}; run "calslo db upgrade"'
    if error.statement is None:
        return f"cannot be reached: {said}"
    return said


def is_absent(url: sa.URL) -> bool:
    """Whether the URL names an SQLite file that does not exist; connecting would create it."""
    return url.get_backend_name() == "sqlite" and not Path(url.database or "").exists()


def _require_file(url: sa.URL) -> None:
    if is_absent(url):
        raise StoreError(f'{redacted(url)}: there is no such file; run "calslo db upgrade" to create the store')


def _require_revision(engine: sa.Engine) -> None:
    with reading(engine).connect() as connection:
        found = revision_of(connection)
    if found is None:
        raise StoreError(f'{redacted(engine.url)}: holds no calslo tables; run "calslo db upgrade"')
    if found > REVISION:
        raise StoreError(
            f"{redacted(engine.url)}: schema {found} is newer than {REVISION}, which this version knows; "
            'run "pip install --upgrade calslo_dagster"'
        )
    if found < REVISION:
        raise StoreError(f'{redacted(engine.url)}: schema {found} is behind {REVISION}; run "calslo db upgrade"')


def revision_of(connection: sa.Connection) -> str | None:
    """Return the schema revision that the database is at, None for a database without our tables."""
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.execute(sa.text(f"SELECT version_num FROM {VERSION_TABLE}")).scalar()


# A partition that is written in one transaction otherwise goes to disk and back before it is whole; what only reads has
# the system's cache, and one connection for each thread that asks.
_WRITING_KIB: Final = 32_768
_READING_KIB: Final = 2_048


def _set_pragmas(connection: Any, _record: object) -> None:
    for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    lock: Lock | None = connection.get_execution_options().get(_WRITES)
    if connection.dialect.name == "sqlite":
        _begin_sqlite(connection, lock)
    elif lock is not None:
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{BUSY_SECONDS}s'")
        if lock in _LOCK_NUMBERS:
            hold(connection, _LOCK_NUMBERS[lock])


def _begin_sqlite(connection: sa.Connection, lock: Lock | None) -> None:
    connection.exec_driver_sql(f"PRAGMA query_only = {'ON' if lock is None else 'OFF'}")
    if lock is not None:
        # The connection may have served another lock before, and inside a transaction this can no longer be set.
        connection.exec_driver_sql(f"PRAGMA synchronous = {'NORMAL' if lock is Lock.STATE else 'FULL'}")
    connection.exec_driver_sql(f"PRAGMA cache_size = -{_WRITING_KIB if lock is Lock.STATE else _READING_KIB}")
    connection.exec_driver_sql("BEGIN" if lock is None else "BEGIN IMMEDIATE")


def hold(connection: sa.Connection, number: int) -> None:
    """Wait for PostgreSQL's lock of this number and keep it until the transaction ends; nothing on SQLite."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({number})")
