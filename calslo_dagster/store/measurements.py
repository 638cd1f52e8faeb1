"""Measurements: one row per SLO, slice and window end, replaced by whole partitions."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.model import JUDGED, Measurement, Verdict
from calslo_dagster.slo.trials import Mode
from calslo_dagster.slo.windows import day_span
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import breaches, measurements, slo_days

if TYPE_CHECKING:
    import pandas as pd

# How many window ends one statement may name.
_NAMED: Final = 5_000


def replace(session: Session, slo: str, rows: Sequence[Measurement], *, start: datetime, end: datetime) -> int:
    """Make `rows` the measurements of the SLO whose window ends lie in (start, end]; return how many they are.

    All is checked before anything is written: a value outside the schema is a StoreError, a row of another SLO or
    outside the range a ValueError. Doing it twice changes nothing.
    """
    from calslo_dagster.store.schemas import check_measurements  # noqa: PLC0415 - whoever only reads does without its memory

    _require_partition(slo, rows, start, end)
    records = [_record(row) for row in rows]
    check_measurements(records)
    session.execute(sa.delete(measurements).where(measurements.c.slo == slo, *_ending(start, end)))
    stored.insert(session, measurements, records)
    return len(records)


def _require_partition(slo: str, rows: Sequence[Measurement], start: datetime, end: datetime) -> None:
    strays = [row for row in rows if row.slo != slo or not start < row.window_end <= end]
    if strays:
        first = strays[0]
        raise ValueError(
            f"{len(strays)} of {len(rows)} measurements are not of {slo} with window ends in ({start}, {end}], "
            f"first {first.slo} of {first.slice} at {first.window_end}"
        )


def _record(row: Measurement) -> dict[str, Any]:
    threshold, threshold_high = stored.ends(row.threshold)
    warn, warn_high = stored.ends(row.warn_threshold)
    return {
        "slo": row.slo,
        "window_end": row.window_end,
        "slice": row.slice,
        "model": row.model,
        "window_start": row.window_start,
        "value": stored.ends(row.value)[0],
        "threshold": threshold,
        "threshold_high": threshold_high,
        "warn_threshold": warn,
        "warn_threshold_high": warn_high,
        "low": stored.ends(row.low)[0],
        "high": stored.ends(row.high)[0],
        "events": int(row.events),
        "labeled": int(row.labeled),
        "verdict": str(row.verdict),
        "reason": row.reason,
        "is_final": bool(row.is_final),
        "watermark": row.watermark,
        "definition_hash": row.definition_hash,
        "code_version": row.code_version,
        "run_id": row.run_id,
        "mode": str(row.mode),
        "debiased": stored.ends(row.debiased)[0],
        "bins": None if row.bins is None else int(row.bins),
        "e_value": stored.ends(row.e_value)[0],
        "evidence": stored.ends(row.evidence)[0],
        "detectable": stored.ends(row.detectable)[0],
        "needed": None if row.needed is None else int(row.needed),
    }


def between(
    session: Session, slo: str, *, start: datetime, end: datetime, slice_name: str | None = None
) -> tuple[Measurement, ...]:
    """Return the SLO's measurements with window ends in (start, end], by window end and slice."""
    return _loaded(session, _select(start, end, slo, slice_name))


def frame(
    session: Session, *, start: datetime, end: datetime, slo: str | None = None, slice_name: str | None = None
) -> "pd.DataFrame":
    """Return the measurements with window ends in (start, end] as a frame with the table's columns.

    Ordered by SLO, window end and slice; a number that is missing is NaN, a limit that is a pair has two columns.
    """
    return stored.frame(session, _select(start, end, slo, slice_name))


def latest(session: Session, *, slo: str | None = None, since: datetime | None = None) -> tuple[Measurement, ...]:
    """Return the last measurement of each SLO and slice, by SLO and slice; none whose window ended before `since`.

    Without `since` the whole history is searched, which takes a second for a year of it.
    """
    # One query per SLO: the key begins with the SLO, so that a query over all of them could not use it.
    names = [slo] if slo else _slos(session)
    return tuple(row for name in names for row in _latest(session, name, since))


def _slos(session: Session) -> list[str]:
    """Return the SLOs that have measurements; each takes one look into the key, however many rows there are."""
    first = sa.select(sa.func.min(measurements.c.slo))
    names, name = [], session.scalar(first)
    while name is not None:
        names.append(name)
        name = session.scalar(first.where(measurements.c.slo > name))
    return names


def _latest(session: Session, slo: str, since: datetime | None) -> tuple[Measurement, ...]:
    table = measurements.c
    wanted = (table.slo == slo, table.window_end >= since) if since else (table.slo == slo,)
    ends = sa.select(table.slice, sa.func.max(table.window_end).label("window_end")).where(*wanted)
    last = ends.group_by(table.slice).subquery()
    same = sa.and_(table.slo == slo, table.window_end == last.c.window_end, table.slice == last.c.slice)
    return _loaded(session, sa.select(measurements).join(last, same).order_by(table.slice))


def latest_rows(session: Session, slo: str, *, since: datetime) -> tuple[Measurement, ...]:
    """Return each slice's last final measurement and the provisional breaches after it, oldest first.

    Without a final one, all provisional ones; windows that ended at `since` or before are left out.
    """
    table = measurements.c
    recent = (table.slo == slo, table.window_end > since)
    ends = sa.select(table.slice, sa.func.max(table.window_end).label("window_end")).where(*recent, table.is_final)
    last = ends.group_by(table.slice).subquery()
    is_breached = sa.and_(table.window_end > last.c.window_end, table.verdict == Verdict.BREACHED.value)
    is_latest = sa.or_(last.c.window_end.is_(None), table.window_end == last.c.window_end, is_breached)
    wanted = sa.select(measurements).outerjoin(last, table.slice == last.c.slice).where(*recent, is_latest)
    return _loaded(session, wanted.order_by(table.window_end, table.slice))


def last_rows(
    session: Session, slo: str, *, until: datetime, verdicts: Iterable[Verdict] = tuple(Verdict)
) -> tuple[Measurement, ...]:
    """Return the SLO's measurements of the last window that ended by `until` with one of these verdicts."""
    wanted = measurements.c.verdict.in_([verdict.value for verdict in verdicts])
    found = sa.select(measurements).where(*_of_last(slo, until), wanted)
    return _loaded(session, found.order_by(measurements.c.slice))


def last_judged(session: Session, slo: str, *, until: datetime) -> dict[str, str]:
    """Return the slices that could be judged in the last window that ended by `until`, each with its model."""
    table, judged = measurements.c, [verdict.value for verdict in JUDGED]
    found = sa.select(table.slice, table.model).where(*_of_last(slo, until), table.verdict.in_(judged))
    return {row.slice: row.model for row in session.execute(found)}


def _of_last(slo: str, until: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    table = measurements.c
    last = sa.select(sa.func.max(table.window_end)).where(table.slo == slo, table.window_end <= until)
    return table.slo == slo, table.window_end == last.scalar_subquery()


def last_known(
    session: Session, slo: str, names: Iterable[str], *, start: datetime, end: datetime
) -> dict[str, datetime]:
    """Return, for each of these slices, the end of its last window in (start, end] that could be judged."""
    table = measurements.c
    wanted, judged = list(names), [verdict.value for verdict in JUDGED]
    statement = sa.select(table.slice, sa.func.max(table.window_end).label("end")).where(
        table.slo == slo, *_ending(start, end), table.verdict.in_(judged), table.slice.in_(wanted)
    )
    return {row.slice: row.end for row in session.execute(statement.group_by(table.slice))} if wanted else {}


def at_peaks(session: Session, slo: str, *, now: datetime) -> dict[str, Measurement]:
    """Return the measurement of the worst window of each of the SLO's breaches that go on at `now`, by breach."""
    table, found = measurements.c, breaches.c
    worst = sa.and_(table.slo == found.slo, table.slice == found.slice, table.window_end == found.peak_at)
    goes_on = sa.or_(found.closed_at.is_(None), found.closed_at > now)
    wanted = sa.select(found.id.label("breach"), *table).join_from(breaches, measurements, worst)
    rows = session.execute(wanted.where(found.slo == slo, goes_on)).mappings()
    return {row["breach"]: _measurement({column.name: row[column.name] for column in table}) for row in rows}


def counts(session: Session, slo: str, *, start: datetime, end: datetime) -> dict[str, dict[Verdict, int]]:
    """Return, for each slice, how many final windows that end in (start, end] have each verdict."""
    table = measurements.c
    wanted = (
        sa.select(table.slice, table.verdict, sa.func.count())
        .where(table.slo == slo, table.is_final, *_ending(start, end))
        .group_by(table.slice, table.verdict)
    )
    found: dict[str, dict[Verdict, int]] = {}
    for slice_name, verdict, windows in session.execute(wanted):
        found.setdefault(slice_name, {})[Verdict(verdict)] = windows
    return found


def breached_slices(session: Session, slo: str, *, start: datetime, end: datetime) -> frozenset[str]:
    """Return the slices with a breached window, final or not, that ends in (start, end]."""
    table = measurements.c
    breached = (table.slo == slo, table.verdict == Verdict.BREACHED.value, *_ending(start, end))
    return frozenset(session.scalars(sa.select(table.slice).where(*breached).distinct()))


def last_ends(
    session: Session, slo: str, names: Iterable[str], *, start: datetime, end: datetime
) -> dict[str, dict[Verdict, datetime]]:
    """Return, for each of these slices, the end of its last final window in (start, end] of each verdict."""
    table, known = measurements.c, list(names)
    wanted = sa.select(table.slice, table.verdict, sa.func.max(table.window_end).label("end")).where(
        table.slo == slo, table.is_final, *_ending(start, end), table.slice.in_(known)
    )
    found: dict[str, dict[Verdict, datetime]] = {}
    if not known:
        return found
    for row in session.execute(wanted.group_by(table.slice, table.verdict)):
        found.setdefault(row.slice, {})[Verdict(row.verdict)] = row.end
    return found


def at_ends(session: Session, slo: str, slice_name: str, ends: Iterable[datetime]) -> tuple[Measurement, ...]:
    """Return the slice's measurements of the windows that end at these instants, by window end.

    Each takes one look into the key, while a range would go through the windows of all slices.
    """
    table, known, found = measurements.c, sorted(set(ends)), list[Measurement]()
    for first in range(0, len(known), _NAMED):
        some = table.window_end.in_(known[first : first + _NAMED])
        wanted = sa.select(measurements).where(table.slo == slo, some, table.slice == slice_name)
        found += _loaded(session, wanted.order_by(table.window_end))
    return tuple(found)


def page(
    session: Session,
    slo: str,
    *,
    start: datetime,
    end: datetime,
    slice_name: str | None = None,
    after: tuple[datetime, str] | None = None,
    limit: int = 100,
) -> tuple[Measurement, ...]:
    """Return so many of the SLO's measurements with window ends in (start, end], by window end and slice.

    after: window end and slice of the row that they come after.
    """
    table, wanted = measurements.c, _select(start, end, slo, slice_name)
    if after is not None:
        later = sa.and_(table.window_end == after[0], table.slice > after[1])
        wanted = wanted.where(table.window_end >= after[0], sa.or_(table.window_end > after[0], later))
    return _loaded(session, wanted.limit(limit))


def courses(
    session: Session, slo: str, slices: Iterable[str], ends: Iterable[datetime]
) -> dict[str, list[tuple[datetime, float | None, Verdict]]]:
    """Return the value and verdict of each of these slices in the windows that end at these instants, oldest first.

    At most some thousand of each: one statement names them all.
    """
    table = measurements.c
    named = (table.slo == slo, table.window_end.in_(sorted(set(ends))), table.slice.in_(sorted(set(slices))))
    wanted = sa.select(table.slice, table.window_end, table.value, table.verdict).where(*named)
    found: dict[str, list[tuple[datetime, float | None, Verdict]]] = {}
    for row in session.execute(wanted.order_by(table.window_end)):
        found.setdefault(row.slice, []).append((row.window_end, row.value, Verdict(row.verdict)))
    return found


def verdicts(session: Session, slo: str, slice_name: str, *, start: datetime, end: datetime) -> dict[datetime, Verdict]:
    """Return the slice's final verdicts by window end, of windows that end in (start, end]."""
    table = measurements.c
    wanted = sa.select(table.window_end, table.verdict).where(
        table.slo == slo, table.slice == slice_name, table.is_final, *_ending(start, end)
    )
    return {window_end: Verdict(verdict) for window_end, verdict in session.execute(wanted.order_by(table.window_end))}


def first_ends(session: Session, slo: str) -> dict[str, datetime]:
    """Return, for each slice, the end of the first window that was measured; of pruned days, their start.

    The counts per day tell the first day, so that only that day of the measurements is read.
    """
    days = session.execute(
        sa.select(slo_days.c.slice, sa.func.min(slo_days.c.day)).where(slo_days.c.slo == slo).group_by(slo_days.c.slice)
    )
    first = {name: day_span(day) for name, day in days}
    table, found = measurements.c, {name: span.start for name, span in first.items()}
    for span in set(first.values()):
        wanted = sa.select(table.slice, sa.func.min(table.window_end)).where(
            table.slo == slo, *_ending(span.start, span.end)
        )
        rows = session.execute(wanted.group_by(table.slice))
        found |= {name: window_end for name, window_end in rows if first.get(name) == span}
    return found


def last_end(session: Session, slo: str) -> datetime | None:
    """Return the end of the last window that was measured, None if none ever was."""
    statement = sa.select(measurements.c.window_end).where(measurements.c.slo == slo)
    return session.scalar(statement.order_by(measurements.c.window_end.desc()).limit(1))


def prune(session: Session, slo: str, before: datetime) -> int:
    """Delete the SLO's measurements whose windows ended before this instant; return how many they were."""
    old = sa.delete(measurements).where(measurements.c.slo == slo, measurements.c.window_end < before)
    return session.connection().execute(old).rowcount


def _select(start: datetime, end: datetime, slo: str | None, slice_name: str | None) -> sa.Select[Any]:
    table = measurements
    statement = sa.select(table).where(*_ending(start, end)).order_by(table.c.slo, table.c.window_end, table.c.slice)
    statement = statement.where(table.c.slo == slo) if slo else statement
    return statement.where(table.c.slice == slice_name) if slice_name else statement


def _ending(start: datetime, end: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    return measurements.c.window_end > start, measurements.c.window_end <= end


def _loaded(session: Session, statement: sa.Select[Any]) -> tuple[Measurement, ...]:
    return tuple(_measurement(dict(row._mapping)) for row in session.execute(statement))


def _measurement(row: dict[str, Any]) -> Measurement:
    row["threshold"] = stored.bound(row["threshold"], row.pop("threshold_high"))
    row["warn_threshold"] = stored.bound(row["warn_threshold"], row.pop("warn_threshold_high"))
    row["verdict"] = Verdict(row["verdict"])
    row["mode"] = Mode(row["mode"])
    return Measurement(**row)
