"""Which alerts a view shows: one choice for the page and for the files of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Incident
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.board import ActiveAlert, Board
from calslo_dagster.store import alert_events, alerts, incidents

# The newest event may be the one that an alert began with.
_INSTANT: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Told:
    """The alerts that go on, worst first, and those that are over, newest first; until: the last that is on record."""

    active: Sequence[ActiveAlert]
    over: Sequence[Incident]
    until: datetime | None


def told_alerts(session: Session, board: Board, wanted: Wanted) -> Told:
    """Return the alerts that the filters take; those that are over reach back so many days from the newest event."""
    until = wanted.until or alert_events.newest_at(session)
    end = until if wanted.until or until is None else until + _INSTANT
    past = incidents.between(session, start=end - timedelta(days=wanted.days), end=end) if end else ()
    over = [one for one in reversed(past) if not one.is_open and _was_wanted(session, one, wanted)]
    return Told([one for one in board.alerts if _is_wanted(one, wanted)], over, until)


def _is_wanted(one: ActiveAlert, wanted: Wanted) -> bool:
    named = wanted.takes(wanted.slo, one.slo) and wanted.takes(wanted.model, one.model)
    return named and wanted.severity in ("", one.severity) and _on_slice(one.slices, wanted)


def _was_wanted(session: Session, one: Incident, wanted: Wanted) -> bool:
    about = one.labels
    named = wanted.takes(wanted.slo, about.get("slo", "")) and wanted.takes(wanted.model, about.get("model", ""))
    if not named or wanted.severity not in ("", one.peak_severity):
        return False
    return not wanted.slice or _on_slice([a.subject.slice for a in alerts.members(session, one.id)], wanted)


def _on_slice(slices: Sequence[str], wanted: Wanted) -> bool:
    return not wanted.slice or any(wanted.takes(wanted.slice, name) for name in slices)
