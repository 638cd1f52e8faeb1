"""What is wrong at one instant: breaches that go on, promises nobody can judge, budgets that burn, our own faults."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Finding, Kind, Severity, Signal, Subject
from calslo_dagster.pipeline.find_blind_slices import find_blind_slices
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.limits import excess
from calslo_dagster.slo.model import EVERYTHING, SLO, Measurement, Verdict
from calslo_dagster.slo.slices import slice_values
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import alerts, availability, breaches, measurements, slo_days, troubles
from calslo_dagster.store.breaches import Breach

# So long a slice is remembered to have been of a model.
_REMEMBERED: Final = timedelta(days=28)
# Burning through the budget within hours is a page, within days it is work for tomorrow.
_PAGES: Final = timedelta(hours=6)


@dataclass(frozen=True, slots=True)
class Scene:
    """All signals of one instant, how many slices of each SLO and model can tell, and why alerts that ended did.

    judged: by SLO and model, the slices beside `*` that are judged or breached; endings: by fingerprint.
    """

    signals: tuple[Signal, ...]
    judged: Mapping[tuple[str, str], int]
    endings: Mapping[str, str] = field(default_factory=dict)


def read_signals(session: Session, project: Project, now: datetime, *, live: bool = True) -> Scene:
    """Return what is wrong at `now`; unless `live`, the breaches alone, as they were known then from windows then over.

    Live, the windows that still go on count too: their breaches are open although they end after `now`.
    """
    horizon = project.settings.evaluation_step if live else timedelta(0)
    found: list[Signal] = []
    judged: dict[tuple[str, str], int] = {}
    endings: dict[str, str] = {}
    standing = alerts.open_ones(session) if live else ()
    for slo in project.registry:
        view = _View(session, project, slo, now, horizon)
        found += view.breached()
        found += view.pending()
        if view.broken:
            judged |= view.judged()
        if live:
            blind = find_blind_slices(session, project, slo, now, standing=standing)
            found += blind.signals
            endings |= blind.endings
    if live:
        found += _burning(session, project)
        found += [_trouble(project, row) for row in troubles.open_ones(session)]
    return Scene(tuple(found), judged, endings)


def judged_slices(session: Session, project: Project, slo: SLO, now: datetime) -> Mapping[tuple[str, str], int]:
    """Return how many slices of each model are judged or breached at `now`, by SLO and model."""
    return _View(session, project, slo, now, timedelta(0)).judged()


@dataclass
class _View:
    """The breaches of one SLO at one instant; each part is read when first asked for."""

    session: Session
    project: Project
    slo: SLO
    now: datetime
    horizon: timedelta

    @cached_property
    def broken(self) -> Sequence[Breach]:
        """The breaches that go on."""
        return breaches.as_of(self.session, self.slo.name, self.now, horizon=self.horizon)

    @cached_property
    def rows(self) -> Mapping[str, Measurement]:
        """The breached measurements of the last window, by slice; without breaches only if some may be pending."""
        if not (self.broken or self.slo.open_after > 1):
            return {}
        until = self.now + self.horizon
        rows = measurements.last_rows(self.session, self.slo.name, until=until, verdicts=[Verdict.BREACHED])
        return {row.slice: row for row in rows}

    @cached_property
    def models(self) -> Mapping[str, str]:
        """The last known model of the slices whose events do not tell: what has only bad scores names no version."""
        shown = {row.slice: row.model for row in self.rows.values()} | {one.slice: one.model for one in self.broken}
        names = [name for name, model in shown.items() if model in ("", EVERYTHING) and name != EVERYTHING]
        first, last = (self.now - _REMEMBERED).date(), (self.now + self.horizon).date()
        return slo_days.last_models(self.session, self.project.registry.names, names, first=first, last=last)

    def breached(self) -> Iterator[Signal]:
        """Yield the breaches that go on, each as its last window or else its worst one shows it."""
        is_over = any(breach.slice not in self.rows for breach in self.broken)
        peaks = measurements.at_peaks(self.session, self.slo.name, now=self.now) if is_over else {}
        for breach in self.broken:
            row = self.rows.get(breach.slice)
            yield Signal(
                subject=self._subject(breach.slice, breach.model),
                severity=self.slo.severity,
                since=breach.onset,
                opened_at=breach.opened_at,
                finding=_finding(self.slo, row) if row else _worst(breach, peaks.get(breach.id)),
                values=slice_values(breach.slice),
                source_id=breach.id,
            )

    def pending(self) -> Iterator[Signal]:
        """Yield what looks like a breach while too few windows have shown it."""
        open_slices = {breach.slice for breach in self.broken}
        for row in self.rows.values():
            if self.slo.open_after > 1 and row.slice not in open_slices:
                subject, finding = self._subject(row.slice, row.model), _finding(self.slo, row)
                values = slice_values(row.slice)
                yield Signal(subject, self.slo.severity, row.window_end, None, finding, values=values)

    def judged(self) -> Mapping[tuple[str, str], int]:
        """Return how many slices of each model are judged or breached, by SLO and model."""
        models = measurements.last_judged(self.session, self.slo.name, until=self.now + self.horizon)
        models |= {breach.slice: breach.model for breach in self.broken}
        named = ((name, self.models.get(name, model)) for name, model in models.items())
        return Counter((self.slo.name, model) for name, model in named if name != EVERYTHING)

    def _subject(self, slice_name: str, model: str) -> Subject:
        model = self.models.get(slice_name, model)
        return _subject(self.project, Kind.BREACH, self.slo.name, slice_name, model=model)


def _burning(session: Session, project: Project) -> Iterator[Signal]:
    """Yield the budgets that burn too fast, by the fastest tier of each slice."""
    tiers = {tier.name: tier for tier in project.settings.burn_tiers()}
    for row in availability.burning(session):
        slo = next((slo for slo in project.registry if slo.name == row.slo), None)
        first = min(row.burn, key=lambda burn: tiers[burn["tier"]].long if burn["tier"] in tiers else DAY, default=None)
        if slo is None or first is None:
            continue
        severity = burn_severity(slo, tiers[first["tier"]].long if first["tier"] in tiers else None)
        reason = (
            f"the budget burns {first['long_rate']:.3g} times as fast as it lasts (tier {first['tier']}): "
            f"{first['bad']} of {first['expected']} windows were bad"
        )
        yield Signal(
            subject=_subject(project, Kind.BURN, row.slo, row.slice),
            severity=severity,
            since=row.as_of,
            opened_at=row.as_of,
            finding=Finding(value=first["long_rate"], limit=first["factor"], reason=reason, window_end=row.as_of),
            values=slice_values(row.slice),
            source_id=first["tier"],
        )


def burn_severity(slo: SLO, long: timedelta | None) -> Severity:
    """Return how much it hurts that a tier fires whose long window is this long; None if nobody knows it any more."""
    severity = slo.severity if long is not None and long <= _PAGES else Severity.WARNING
    return min(severity, Severity.CRITICAL, key=lambda s: s.rank)


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


def _worst(breach: Breach, row: Measurement | None) -> Finding:
    """Return how bad the worst window was, for a breach whose latest window is not breached or cannot be judged.

    `row` is its measurement, None if that has been pruned.
    """
    # Late data may have been measured and not been folded yet: the interval must be that of the value.
    low, high = (row.low, row.high) if row and row.value == breach.peak_value else (None, None)
    return Finding(
        value=breach.peak_value,
        low=low,
        high=high,
        events=row.events if row else 0,
        limit=breach.threshold,
        excess=breach.peak_excess,
        reason=breach.reason,
        window_start=row.window_start if row else None,
        window_end=breach.peak_at,
    )
