"""What is wrong at one instant: breaches that go on, promises nobody can judge, budgets that burn, our own faults."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Finding, Kind, Severity, Signal, Subject
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.limits import excess
from calslo_dagster.slo.model import JUDGED, SLO, Cadence, Measurement, Verdict
from calslo_dagster.slo.slices import parse_slice
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import availability, breaches, measurements, slo_days, troubles
from calslo_dagster.store.breaches import Breach

_USED_TO_BE: Final = timedelta(days=7)
# Burning through the budget within hours is a page, within days it is work for tomorrow.
_PAGES: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Scene:
    """All signals of one instant, and how many slices of each SLO are judged."""

    signals: tuple[Signal, ...]
    judged: Mapping[str, int]


def read_signals(session: Session, project: Project, now: datetime, *, live: bool = True) -> Scene:
    """Return what is wrong at `now`; unless `live`, as it was known then from windows that were over.

    Live, the windows that still go on count too: their breaches are open although they end after `now`.
    """
    horizon = project.settings.evaluation_step if live else timedelta(0)
    found: list[Signal] = []
    judged: dict[str, int] = {}
    for slo in project.registry:
        broken = breaches.as_of(session, slo.name, now, horizon=horizon)
        until = now + horizon
        # What is pending has no breach yet.
        is_wanted = broken or slo.open_after > 1
        rows = measurements.last_rows(session, slo.name, until=until, verdicts=[Verdict.BREACHED]) if is_wanted else ()
        counts = measurements.last_verdicts(session, slo.name, until=until) if broken else {}
        judged[slo.name] = sum(counts.get(verdict, 0) for verdict in JUDGED)
        found += _breached(project, slo, broken, rows)
        found += _pending(project, slo, broken, rows)
        if live and slo.cadence is Cadence.MINUTE:
            found += _blind(session, project, slo, now)
    if live:
        found += _burning(session, project)
    found += [_trouble(project, row) for row in troubles.open_ones(session)]
    return Scene(tuple(found), judged)


def _breached(project: Project, slo: SLO, broken: Sequence[Breach], rows: Sequence[Measurement]) -> Iterator[Signal]:
    """Yield the breaches that go on; `rows` are the breached ones of the last window."""
    latest = {row.slice: row for row in rows}
    for breach in broken:
        row = latest.get(breach.slice)
        yield Signal(
            subject=_subject(project, Kind.BREACH, slo.name, breach.slice, model=breach.model),
            severity=slo.severity,
            since=breach.onset,
            opened_at=breach.opened_at,
            finding=_finding(slo, row) if row else _worst(breach),
            values=_values(breach.slice),
            source_id=breach.id,
        )


def _pending(project: Project, slo: SLO, broken: Sequence[Breach], rows: Sequence[Measurement]) -> Iterator[Signal]:
    """Yield what looks like a breach while too few windows have shown it."""
    open_slices = {breach.slice for breach in broken}
    for row in rows:
        if slo.open_after > 1 and row.slice not in open_slices:
            subject = _subject(project, Kind.BREACH, slo.name, row.slice, model=row.model)
            finding = _finding(slo, row)
            yield Signal(subject, slo.severity, row.window_end, None, finding, values=_values(row.slice))


def _blind(session: Session, project: Project, slo: SLO, now: datetime) -> Iterator[Signal]:
    """Yield the slices that had verdicts within a week and have had none for long, although windows are measured."""
    after = project.settings.alerting.blind_after
    until = now + project.settings.evaluation_step
    rows = measurements.last_rows(session, slo.name, until=until, verdicts=[Verdict.UNKNOWN, Verdict.ERROR])
    silent = {row.slice: row for row in rows}
    if not silent:
        return
    first = (now - _USED_TO_BE).date()
    counted = slo_days.added(session, slo.name, first=first, last=now.date() + DAY)
    usual = [name for name in silent if _is_usually_judged(counted.get(name, {}))]
    known = measurements.last_known(session, slo.name, usual, since=now - _USED_TO_BE - after)
    for name, last in known.items():
        if now - last >= after:
            row = silent[name]
            subject = _subject(project, Kind.BLIND, slo.name, name, model=row.model)
            finding = Finding(events=row.events, reason=row.reason, window_end=row.window_end)
            yield Signal(subject, Severity.WARNING, last, last, finding, values=_values(name), source_id=str(last))


def _is_usually_judged(counted: Mapping[Verdict, int]) -> bool:
    """Whether most windows could be judged: a slice with little traffic is silent each night without being blind."""
    return 2 * sum(counted.get(verdict, 0) for verdict in JUDGED) > sum(counted.values())


def _burning(session: Session, project: Project) -> Iterator[Signal]:
    """Yield the budgets that burn too fast, by the fastest tier of each slice."""
    tiers = {tier.name: tier for tier in project.settings.burn_tiers()}
    for row in availability.burning(session):
        slo = next((slo for slo in project.registry if slo.name == row.slo), None)
        first = min(row.burn, key=lambda burn: tiers[burn["tier"]].long if burn["tier"] in tiers else DAY, default=None)
        if slo is None or first is None:
            continue
        is_page = first["tier"] in tiers and tiers[first["tier"]].long <= _PAGES
        severity = slo.severity if is_page else Severity.WARNING
        reason = (
            f"the budget burns {first['long_rate']:.3g} times as fast as it lasts (tier {first['tier']}): "
            f"{first['bad']} of {first['expected']} windows were bad"
        )
        yield Signal(
            subject=_subject(project, Kind.BURN, row.slo, row.slice),
            severity=min(severity, Severity.CRITICAL, key=lambda s: s.rank),
            since=row.as_of,
            opened_at=row.as_of,
            finding=Finding(value=first["long_rate"], limit=first["factor"], reason=reason, window_end=row.as_of),
            values=_values(row.slice),
            source_id=first["tier"],
        )


def _trouble(project: Project, row: troubles.Trouble) -> Signal:
    subject = _subject(project, Kind.PIPELINE, row.component, "*")
    return Signal(subject, row.severity, row.since, row.since, Finding(reason=row.reason), source_id=row.source_id)


def _subject(project: Project, kind: Kind, name: str, slice_name: str, *, model: str = "") -> Subject:
    return Subject(kind, name, slice_name, model, project.settings.alerting.environment)


def _finding(slo: SLO, row: Measurement) -> Finding:
    past = 0.0
    if row.value is not None and row.threshold is not None:
        past = excess(slo.objective.operator, row.value, row.threshold)
    return Finding(
        value=row.value,
        low=row.low,
        high=row.high,
        events=row.events,
        limit=row.threshold,
        excess=past,
        reason=row.reason,
        window_start=row.window_start,
        window_end=row.window_end,
    )


def _worst(breach: Breach) -> Finding:
    """Return how bad the worst window was, for a breach whose latest window is not breached or cannot be judged."""
    return Finding(
        value=breach.peak_value,
        limit=breach.threshold,
        excess=breach.peak_excess,
        reason=breach.reason,
        window_end=breach.peak_at,
    )


@lru_cache(65_536)
def _values(slice_name: str) -> Mapping[str, str]:
    return {column: value or "" for column, value in parse_slice(slice_name)}
