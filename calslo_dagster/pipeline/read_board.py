"""Read the board: how every SLO stands on every slice, in few statements and from one state of the store."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from hashlib import sha256
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Alert, Incident, Kind
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.roll_up_health import newest_rows, patience_with, remembered
from calslo_dagster.reporting.board import ActiveAlert, Board, BoardFilter, Card, Spend, board_of, card_of
from calslo_dagster.reporting.states import Facts
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.model import EVERYTHING, SLO, Measurement, Verdict
from calslo_dagster.slo.windows import DAY, WEEK, Window, day_of, day_span
from calslo_dagster.store import (
    alert_events,
    alerts,
    availability,
    breaches,
    evaluations,
    exclusions,
    incidents,
    measurements,
    slo_days,
)
from calslo_dagster.store.breaches import Breach

EVERY_CARD: Final = BoardFilter()
# How far back the start of a state is looked for.
LOOKED_BACK: Final = WEEK
_INSTANT: Final = timedelta.resolution


def read_board(project: Project, *, now: datetime, filter: BoardFilter = EVERY_CARD) -> Board:  # noqa: A002 - reads best
    """Return how every SLO stands on every slice that the filter takes, as of `now`."""
    with project.store.read() as session:
        around = _around(session, project, now)
        seen = {slo.name: at for slo in project.registry if (at := evaluations.last_look(session, slo.name))}
        wanted = [slo for slo in project.registry if filter.takes_slo(slo.name)]
        looks = (_Look(session, project, slo, now, around, seen.get(slo.name)) for slo in wanted)
        cards = [card for look in looks for card in look.cards(filter)]
    return board_of(cards, now=now, alerts=around.active, evaluations=seen, states=filter.states)


def board_stamp(project: Project) -> str:
    """Return what differs whenever something stored has changed; cheap enough to be asked for every second.

    It may differ although the board's version does not, after an evaluation that found nothing new.
    """
    with project.store.read() as session:
        days = _period_days(project)
        parts = [
            (slo.name, evaluations.last_look(session, slo.name), availability.last_as_of(session, slo.name, days))
            for slo in project.registry
        ]
        rest = (breaches.stamp(session), alert_events.head(session), exclusions.stamp(session))
    return sha256(repr((parts, rest)).encode()).hexdigest()[:16]


def breaches_of(project: Project, slo: str, slice_name: str, *, span: Window) -> tuple[Breach, ...]:
    """Return the breaches of an SLO on a slice that share an instant with the span, oldest onset first."""
    with project.store.read() as session:
        found = breaches.between(session, start=span.start, end=span.end, slo=slo)
    return tuple(breach for breach in found if breach.slice == slice_name)


@dataclass(frozen=True, slots=True)
class _Around:
    """What is open now, by (SLO, slice), with the incidents and the maintenance that goes on."""

    breaches: Mapping[tuple[str, str], Breach]
    alerts: Mapping[tuple[str, str], Alert]
    active: tuple[ActiveAlert, ...]
    exclusions: tuple[Exclusion, ...]


def _around(session: Session, project: Project, now: datetime) -> _Around:
    """Return what is open now, whatever the SLO."""
    going_on = {(one.slo, one.slice): one for one in breaches.open_ones(session)}
    open_alerts = alerts.open_ones(session)
    agreed = [one.exclusion for one in exclusions.overlapping(session, start=now, end=now + _INSTANT)]
    stated = [one for one in project.settings.agreed_exclusions() if one.span.start <= now < one.span.end]
    return _Around(
        breaches=going_on,
        alerts={(one.subject.name, one.subject.slice): one for one in open_alerts if one.subject.kind is Kind.BREACH},
        active=tuple(_active(project, incidents.open_ones(session), open_alerts)),
        exclusions=(*stated, *agreed),
    )


def _active(project: Project, found: Sequence[Incident], members: Sequence[Alert]) -> Iterator[ActiveAlert]:
    """Yield the incidents that go on, the worst first, each with the slices that it gathers."""
    titles = {slo.name: slo.title for slo in project.registry}
    slices: dict[str, list[str]] = {}
    for alert in members:
        slices.setdefault(alert.incident_id or "", []).append(alert.subject.slice)
    for one in sorted(found, key=lambda incident: (-incident.severity.rank, incident.opened_at, incident.id)):
        name = one.labels.get("slo", "")
        yield ActiveAlert(
            id=one.id,
            kind=one.labels.get("kind", ""),
            slo=name,
            title=titles.get(name, name),
            model=one.labels.get("model", ""),
            severity=one.severity,
            state=str(one.state),
            since=one.opened_at,
            members=one.members,
            slices=tuple(sorted(set(slices.get(one.id, ())))),
            acked_by=one.acked_by,
            acked_at=one.acked_at,
            suppressed_by=one.suppressed_by,
            reason=one.reason,
        )


@dataclass(frozen=True, slots=True)
class _Look:
    """One SLO as it is looked at now; evaluated_at: when it was last evaluated."""

    session: Session
    project: Project
    slo: SLO
    now: datetime
    around: _Around
    evaluated_at: datetime | None

    def cards(self, wanted: BoardFilter) -> Iterator[Card]:
        """Yield the card of each slice that is wanted, one for everything if the SLO was never measured."""
        last = measurements.last_end(self.session, self.slo.name)
        if last is None:
            if wanted.takes(self.slo.name, EVERYTHING, ""):
                yield card_of(self._facts(None, _Past()), now=self.now)
            return
        # When all stands still, the slices of the last evaluation stay on the board.
        rows = newest_rows(self.session, self.project, self.slo, min(self.now, last))
        past, spends = self._past(rows, last), self._spends()
        for row in rows:
            if wanted.takes(row.slo, row.slice, row.model):
                yield card_of(self._facts(row, past), now=self.now, spend=spends.get(row.slice))

    def _facts(self, row: Measurement | None, past: "_Past") -> Facts:
        name, model = (row.slice, row.model) if row else (EVERYTHING, "")
        breach, alert = self.around.breaches.get((self.slo.name, name)), self.around.alerts.get((self.slo.name, name))
        covering = [one for one in self.around.exclusions if one.covers(self.slo.name, name, model)]
        patience = patience_with(self.project, self.slo)
        return Facts(
            slo=self.slo,
            newest=row,
            evaluated_at=self.evaluated_at,
            stale_since=patience.stale_since(row, self.evaluated_at, self.now) if row else None,
            changed_at=past.changed_at(row) if row else None,
            breach_id=breach.id if breach else None,
            breach_onset=breach.onset if breach else None,
            exclusion=max(covering, key=lambda one: one.span.end, default=None),
            bad_at=past.ends.get(name, {}).get(Verdict.BREACHED),
            incident_id=alert.incident_id if alert else None,
        )

    def _past(self, rows: Sequence[Measurement], last: datetime) -> "_Past":
        """Return the last days of each verdict, and of slices that changed lately the last windows."""
        start = min(self.now, last) - remembered(self.project, self.slo)
        days = slo_days.last_days(self.session, self.slo.name, first=day_of(start - LOOKED_BACK), last=day_of(last))
        # Most slices have been as they are for long, which the counts per day tell without going through windows.
        moved = [row.slice for row in rows if _has_moved(row, days.get(row.slice, {}), day_of(start))]
        ends = measurements.last_ends(self.session, self.slo.name, moved, start=start, end=last)
        return _Past(start, ends, days)

    def _spends(self) -> dict[str, Spend]:
        days = _period_days(self.project)
        found = availability.budgets(self.session, self.slo.name, days)
        return {
            row.slice: Spend(
                allowed=row.budget_allowed,
                used=row.budget_used,
                left=row.budget_left,
                period_days=days,
                left_ratio=row.budget_left / row.budget_allowed if row.budget_allowed else None,
                coverage=row.coverage,
                observed=row.observed,
                is_fast=bool(row.burn),
            )
            for row in found
        }


def _has_moved(row: Measurement, days: Mapping[Verdict, date], since: date) -> bool:
    return any(day >= since for verdict, day in days.items() if verdict is not row.verdict)


def _period_days(project: Project) -> int:
    """Return the days of the period that budgets are shown for: that of the burn rates if it is measured."""
    periods = project.settings.availability.periods
    burn = project.settings.burn.period
    return (burn if burn in periods else max(periods)) // DAY


@dataclass(frozen=True, slots=True)
class _Past:
    """The last end, after `start`, and the last day of each verdict of each slice."""

    start: datetime | None = None
    ends: Mapping[str, Mapping[Verdict, datetime]] = field(default_factory=dict)
    days: Mapping[str, Mapping[Verdict, date]] = field(default_factory=dict)

    def changed_at(self, row: Measurement) -> datetime | None:
        """Return the end of the last window with another verdict than this one, None if that is too long ago.

        Of windows before the last hours only the day is known: then it is the end of that day.
        """
        ends = [end for verdict, end in self.ends.get(row.slice, {}).items() if verdict is not row.verdict]
        if ends:
            return max(ends)
        days = [day for verdict, day in self.days.get(row.slice, {}).items() if verdict is not row.verdict]
        at = day_span(max(days)).end if days else None
        return min(at, self.start) if at and self.start else at
