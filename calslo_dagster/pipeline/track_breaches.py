"""Fold the measurements that changed into breaches."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.breach import BreachState, Episode, Outcome, Track, fold
from calslo_dagster.slo.model import SLO, Measurement
from calslo_dagster.slo.windows import DAY, day_of, day_span
from calslo_dagster.store import availability, breach_states, breaches, measurements, unfolded_days
from calslo_dagster.store.breach_states import Checkpoint
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.unfolded_days import UnfoldedDay

FOREVER: Final = datetime(9000, 1, 1, tzinfo=UTC)
_Row = tuple[Measurement, Outcome]


@dataclass(frozen=True, slots=True)
class BreachReport:
    """The breaches that are open now, those that began or ended in what was folded, and how many days that were."""

    open: tuple[Breach, ...]
    changed: tuple[Breach, ...]
    days_folded: int


def track_breaches(project: Project) -> BreachReport:
    """Bring the breaches up to date with the measurements, one SLO in one transaction.

    Days are folded in order from the first changed one on, so a day that arrives late corrects all that came after it.
    """
    with project.store.read() as session:
        changed = unfolded_days.every(session)
    found: list[Breach] = []
    for slo in project.registry:
        days = [one for one in changed if one.slo == slo.name]
        if days:
            found += _track(project, slo, days)
    with project.store.read() as session:
        standing = breaches.open_ones(session)
    return BreachReport(open=standing, changed=tuple(found), days_folded=len(changed))


def _track(project: Project, slo: SLO, days: Sequence[UnfoldedDay]) -> list[Breach]:
    first = min(one.day for one in days)
    since = day_span(first).start
    with project.store.write() as session:
        states = breach_states.at_day(session, slo.name, first)
        names, lateness = sorted(_eventful(session, slo, since, states)), project.settings.lateness
        rows = {name: _rows(session, slo, name, since=since, lateness=lateness) for name in names}
        folds = [
            _fold_slice(_track_of(project, slo, name), states.get(name, BreachState()), rows.get(name, []), first)
            for name in rows
        ]
        found = [_breach(session, episode) for one in folds for episode in one.episodes]
        breaches.replace_since(session, slo.name, found, since=since)
        breach_states.forget(session, slo.name, after=first)
        breach_states.put(session, [point for one in folds for point in one.checkpoints])
        unfolded_days.clear(session, days)
        # No checkpoint follows a day with a provisional window, so the next fold begins there, whatever changes first.
        unfolded_days.mark(session, slo.name, sorted({one.unsettled for one in folds if one.unsettled})[:1])
        last = measurements.last_end(session, slo.name)
        if last and last - since > DAY:
            # A day that was over has changed, so availability as of the last final window is no longer right.
            availability.forget(session, slo.name)
    return found


@dataclass(frozen=True, slots=True)
class _Folded:
    """The episodes of one slice since a day, and the state of the fold before each day that is final.

    `unsettled` is the first day with a provisional window.
    """

    episodes: tuple[Episode, ...]
    checkpoints: tuple[Checkpoint, ...]
    unsettled: date | None = None


def _fold_slice(track: Track, state: BreachState, rows: Sequence[_Row], first: date) -> _Folded:
    """Fold day by day, with a checkpoint before each; from the first day with a provisional window on, all at once."""
    episodes: dict[str, Episode] = {}
    checkpoints = [Checkpoint(track.slo, track.slice, first, state)]
    days = _days(rows)
    unsettled = next((day for day, todays in days if not all(outcome.is_final for _, outcome in todays)), None)
    for place, (day, todays) in enumerate(days):
        part = todays if day != unsettled else [row for _, later in days[place:] for row in later]
        state, found = fold(track, state, [outcome for _, outcome in part])
        episodes |= {episode.id: episode for episode in found}
        if day == unsettled:
            break
        checkpoints.append(Checkpoint(track.slo, track.slice, day + DAY, state))
    if not rows:
        episodes = {episode.id: episode for episode in fold(track, state, [])[1]}
    return _Folded(tuple(episodes.values()), tuple(checkpoints), unsettled)


def _eventful(session: Session, slo: SLO, since: datetime, states: Mapping[str, BreachState]) -> set[str]:
    """Return the slices in which a breach goes on or may begin; for the others the fold has nothing to do."""
    breached = measurements.breached_slices(session, slo.name, start=since, end=FOREVER)
    return {*breached, *(name for name, state in states.items() if state.episode)}


def _rows(session: Session, slo: SLO, name: str, *, since: datetime, lateness: timedelta) -> list[_Row]:
    found = measurements.between(session, slo.name, start=since, end=FOREVER, slice_name=name)
    return [(row, Outcome.of(slo, row, seen=row.watermark and row.watermark + lateness)) for row in found]


def _days(rows: Sequence[_Row]) -> list[tuple[date, list[_Row]]]:
    days: dict[date, list[_Row]] = {}
    for row in rows:
        days.setdefault(day_of(row[0].window_end), []).append(row)
    return sorted(days.items())


def _track_of(project: Project, slo: SLO, name: str) -> Track:
    return replace(Track.of(slo, name), step=step_of(project, slo))


def _breach(session: Session, episode: Episode) -> Breach:
    """Return the breach with the limit that its worst window missed, and the model of its last bad one.

    Both windows may lie before what was folded, so they are looked up.
    """
    worst, last = _row_at(session, episode, episode.peak_at), _row_at(session, episode, episode.last_bad)
    model = last.model if last else ""
    return Breach.of(replace(episode, model=model), worst.threshold if worst else None)


def _row_at(session: Session, episode: Episode, end: datetime | None) -> Measurement | None:
    if end is None:
        return None
    found = measurements.between(
        session, episode.slo, start=end - timedelta.resolution, end=end, slice_name=episode.slice
    )
    return found[0] if found else None
