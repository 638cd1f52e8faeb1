"""Breaches: fold the verdicts of one SLO, slice and model into episodes with onset, peak and recovery.

The fold keeps one small state, so that folding day by day yields the episodes of folding everything at once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Self

from calslo_dagster.slo.limits import excess
from calslo_dagster.slo.model import JUDGED, SLO, Measurement, Verdict
from calslo_dagster.slo.windows import Window, step_of

_MET = frozenset({Verdict.MEETING, Verdict.WARNING})
_TIMES = ("onset", "last_bad", "opened_at", "recovery", "closed_at", "peak_at")


@dataclass(frozen=True, slots=True)
class Track:
    """A series of windows, and how many breached or met ones in a row open or close a breach.

    open_within: so many windows may hold the breached ones that open it, 0 for as many, which is in a row.
    """

    slo: str
    slice: str
    model: str
    step: timedelta
    open_after: int = 1
    close_after: int = 2
    open_within: int = 0

    @classmethod
    def of(cls, slo: SLO, slice_name: str, model: str = "") -> Self:
        """Return the track of the SLO's slice and model."""
        return cls(slo.name, slice_name, model, step_of(slo), slo.open_after, slo.close_after, slo.open_within)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the fold needs of one window: `excess` ranks the breached ones, `reason` is kept for the worst."""

    window_end: datetime
    verdict: Verdict
    value: float | None = None
    excess: float = 0.0
    reason: str = ""
    is_final: bool = True

    @classmethod
    def of(cls, slo: SLO, row: Measurement, *, seen: datetime | None = None) -> Self:
        """Return the outcome of a measurement; `seen` is the time of the newest event, None if nobody knows it.

        A window that has hardly begun says little: a few events decide it, and the rest of it usually decides
        otherwise. Its breach counts from the middle of the window on, at once where nothing can heal it.
        """
        past = 0.0
        if row.value is not None and row.threshold is not None:
            past = excess(slo.objective.operator, row.value, row.threshold)
        window = Window(row.window_start, row.window_end)
        verdict = row.verdict if row.is_final else unhasty(slo, window, row.verdict, seen=seen)
        return cls(row.window_end, verdict, row.value, past, reason=row.reason, is_final=row.is_final)


def _heals_not(slo: SLO) -> bool:
    """Whether a breach of a part is one of the whole: where none is allowed, later events take back nothing."""
    return slo.objective.at_most == 0


def unhasty(slo: SLO, window: Window, verdict: Verdict, *, seen: datetime | None) -> Verdict:
    """Return what the verdict on a window that is not final counts as: a breach is unknown before its middle."""
    is_young = seen is not None and seen - window.start < window.length / 2
    is_hasty = verdict is Verdict.BREACHED and is_young and not _heals_not(slo)
    return Verdict.UNKNOWN if is_hasty else verdict


@dataclass(frozen=True, slots=True)
class Counts:
    """How many windows of each kind an episode or a closing run holds."""

    breached: int = 0
    met: int = 0
    unknown: int = 0
    excluded: int = 0

    def __add__(self, other: Self) -> Self:
        """Return the counts of both together."""
        return type(self)(*(getattr(self, f.name) + getattr(other, f.name) for f in fields(self)))


@dataclass(frozen=True, slots=True)
class Episode:
    """One breach, [onset, recovery).

    onset: start of the first breached bucket; opened_at: end of the window that made it a breach, None while too few
    have; recovery: start of the first bucket of the closing run; closed_at: end of the window that completed that run;
    last_bad: end of the last breached window; peak: the value furthest past its limit, with its reason. An episode is
    provisional while its onset or recovery rests on windows that late data can still change; a later fold may
    withdraw it.
    """

    id: str
    slo: str
    slice: str
    model: str
    onset: datetime
    last_bad: datetime
    opened_at: datetime | None = None
    recovery: datetime | None = None
    closed_at: datetime | None = None
    peak: float | None = None
    peak_excess: float = 0.0
    peak_at: datetime | None = None
    reason: str = ""
    counts: Counts = field(default_factory=Counts)
    is_provisional: bool = False

    @property
    def is_open(self) -> bool:
        """Whether the breach goes on."""
        return self.recovery is None

    def lasted(self, now: datetime) -> timedelta:
        """Return the time from onset to recovery, or to `now` while it is open."""
        return (self.recovery or now) - self.onset


@dataclass(frozen=True, slots=True)
class ClosingRun:
    """Met windows in a row that may close the open breach; its windows join the episode if they do not."""

    start: datetime
    counts: Counts = field(default_factory=Counts)


@dataclass(frozen=True, slots=True)
class BreachState:
    """Where the fold stands: final windows are folded through `through`; pass every later one to the next fold.

    recent: the breached windows that count towards opening, where these need not be in a row.
    """

    through: datetime | None = None
    episode: Episode | None = None
    closing: ClosingRun | None = None
    recent: tuple[Outcome, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {f.name: _to_json(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the state that `to_json` wrote."""
        episode, closing = data["episode"], data["closing"]
        return cls(
            through=_time(data["through"]),
            episode=_episode(episode) if episode else None,
            closing=_run(closing) if closing else None,
            recent=tuple(_outcome(one) for one in data.get("recent", ())),
        )


def fold(track: Track, state: BreachState, rows: Iterable[Outcome]) -> tuple[BreachState, tuple[Episode, ...]]:
    """Return the state after the final rows, and the episodes that closed in these rows or are open after them.

    `rows` ascend by window end and follow `state.through`; missing windows count as unknown. From the first provisional
    row on, rows shape the episodes returned but not the state, so the next fold sees these windows again. A provisional
    window may open a breach and never helps to close one.
    """
    kept = live = state
    settled = True
    episodes: list[Episode] = []
    for row in rows:
        settled = settled and row.is_final
        live, closed = _advanced(track, _gap(track, live, row), row, settled=settled)
        episodes += [closed] if closed else []
        kept = live if settled else kept
    if live.episode is not None and live.episode.opened_at is not None:
        episodes.append(live.episode)
    return kept, tuple(episodes)


def _gap(track: Track, state: BreachState, row: Outcome) -> BreachState:
    if state.through is None:
        return state
    if row.window_end <= state.through:
        raise ValueError(f"{track.slo} of {track.slice}: window {row.window_end} does not follow {state.through}")
    return _frozen(state, state.through, Counts(unknown=(row.window_end - state.through) // track.step - 1))


def _advanced(track: Track, state: BreachState, row: Outcome, *, settled: bool) -> tuple[BreachState, Episode | None]:
    episode, end = state.episode, row.window_end
    if track.open_within and row.verdict in JUDGED and (episode is None or episode.opened_at is None):
        return _gathered(track, state, row, settled=settled), None
    if row.verdict is Verdict.BREACHED:
        return BreachState(end, _worsened(track, state, row, settled=settled)), None
    if row.verdict not in _MET:
        is_excluded = row.verdict is Verdict.EXCLUDED
        return _frozen(state, end, Counts(excluded=1) if is_excluded else Counts(unknown=1)), None
    if episode is None or episode.opened_at is None:
        return BreachState(end), None
    return _met(track, state, row, episode, settled=settled)


def _met(
    track: Track, state: BreachState, row: Outcome, episode: Episode, *, settled: bool
) -> tuple[BreachState, Episode | None]:
    """Return the state after a window of an open breach was met, and the breach if that closes it."""
    end = row.window_end
    if not row.is_final:
        return replace(state, through=end), None
    run = state.closing or ClosingRun(end - track.step)
    run = replace(run, counts=run.counts + Counts(met=1))
    if run.counts.met < track.close_after:
        return BreachState(end, episode, run), None
    provisional = episode.is_provisional or not settled
    return BreachState(end), replace(episode, recovery=run.start, closed_at=end, is_provisional=provisional)


def _gathered(track: Track, state: BreachState, row: Outcome, *, settled: bool) -> BreachState:
    """Return the state with the candidate that the breached ones of the last windows make, if there are any."""
    since = row.window_end - track.open_within * track.step
    recent = tuple(o for o in (*state.recent, row) if o.verdict is Verdict.BREACHED and o.window_end > since)
    candidate = BreachState(row.window_end)
    for one in recent:
        candidate = BreachState(row.window_end, _worsened(track, candidate, one, settled=settled))
    is_open = candidate.episode is not None and candidate.episode.opened_at is not None
    return replace(candidate, recent=() if is_open else recent)


def _worsened(track: Track, state: BreachState, row: Outcome, *, settled: bool) -> Episode:
    episode = state.episode or _candidate(track, row.window_end)
    run = state.closing.counts if state.closing else Counts()
    episode = replace(episode, last_bad=row.window_end, counts=episode.counts + run + Counts(breached=1))
    if episode.peak_at is None or row.excess > episode.peak_excess:
        episode = replace(episode, peak=row.value, peak_excess=row.excess, peak_at=row.window_end, reason=row.reason)
    if episode.opened_at is None and episode.counts.breached >= track.open_after:
        return replace(episode, opened_at=row.window_end, is_provisional=not settled)
    return episode


def _candidate(track: Track, window_end: datetime) -> Episode:
    onset = window_end - track.step
    key = "\0".join((track.slo, track.slice, track.model, onset.isoformat()))
    digest = sha256(key.encode()).hexdigest()[:16]
    return Episode(digest, track.slo, track.slice, track.model, onset=onset, last_bad=window_end)


def _frozen(state: BreachState, through: datetime, passed: Counts) -> BreachState:
    if state.closing is not None:
        closing = replace(state.closing, counts=state.closing.counts + passed)
        return BreachState(through, state.episode, closing)
    if state.episode is not None:
        counts = state.episode.counts + passed
        return BreachState(through, replace(state.episode, counts=counts), recent=state.recent)
    return BreachState(through)


def _to_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_to_json(item) for item in value]
    if is_dataclass(value):
        return {f.name: _to_json(getattr(value, f.name)) for f in fields(value)}
    return value


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _outcome(data: Mapping[str, Any]) -> Outcome:
    return Outcome(
        **{**data, "window_end": datetime.fromisoformat(data["window_end"]), "verdict": Verdict(data["verdict"])}
    )


def _run(data: Mapping[str, Any]) -> ClosingRun:
    return ClosingRun(datetime.fromisoformat(data["start"]), Counts(**data["counts"]))


def _episode(data: Mapping[str, Any]) -> Episode:
    times = {name: _time(data[name]) for name in _TIMES}
    return Episode(**{**data, **times, "counts": Counts(**data["counts"])})
