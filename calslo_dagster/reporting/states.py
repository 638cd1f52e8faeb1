"""The state of one SLO on one slice: decided here and nowhere else, with why and what to do next."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.model import SLO, Measurement, Verdict


class State(StrEnum):
    """How an SLO of a slice stands now, worst first; only `meeting` is green.

    stale: it was measured once, but not lately; never: it has not been measured yet.
    """

    BREACHED = "breached"
    ERROR = "error"
    STALE = "stale"
    WARNING = "warning"
    UNKNOWN = "unknown"
    NEVER = "never"
    EXCLUDED = "excluded"
    MEETING = "meeting"

    @property
    def rank(self) -> int:
        """The place in the order, 0 for the worst."""
        return _RANK[self]

    @property
    def verdict(self) -> Verdict:
        """The verdict that health counts the state as."""
        return Verdict.UNKNOWN if self in (State.STALE, State.NEVER) else Verdict(self.value)


_RANK: Final = {state: rank for rank, state in enumerate(State)}


WORDS: Final[Mapping[State, str]] = {
    State.BREACHED: "Breached",
    State.ERROR: "Error",
    State.STALE: "Stale",
    State.WARNING: "Warning",
    State.UNKNOWN: "Unknown",
    State.NEVER: "Not measured",
    State.EXCLUDED: "Excluded",
    State.MEETING: "Meeting",
}


class BurnWord(StrEnum):
    """How the error budget goes down.

    none: there is no budget to speak of; steady: no window was bad lately; recovering: some were, the last one was not;
    spending: the last one was; fast: it burns faster than one of the agreed rates.
    """

    NONE = "none"
    STEADY = "steady"
    RECOVERING = "recovering"
    SPENDING = "spending"
    FAST = "fast"


@dataclass(frozen=True, slots=True)
class Facts:
    """All that the state of an SLO on a slice rests on.

    newest: the last final measurement, or a later one that is breached; stale_since: since when nothing is known;
    changed_at: the end of the last window with another verdict, None if it is not known; breach_id, breach_onset: of
    the breach that goes on; exclusion: the maintenance that goes on now; bad_at: end of the last breached window of
    late.
    """

    slo: SLO
    newest: Measurement | None = None
    evaluated_at: datetime | None = None
    stale_since: datetime | None = None
    changed_at: datetime | None = None
    breach_id: str | None = None
    breach_onset: datetime | None = None
    exclusion: Exclusion | None = None
    bad_at: datetime | None = None
    incident_id: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """A state with why, since when (None if that is not known) and what to do next, empty for `meeting`."""

    state: State
    reason: str
    since: datetime | None
    next_step: str


def state_of(
    verdict: Verdict | None, *, is_stale: bool = False, has_breach: bool = False, is_excluded: bool = False
) -> State:
    """Return the state: the one decision that every page, answer, metric and report shows.

    verdict: the newest one, None if there never was one; is_stale: it no longer speaks of now; has_breach: a breach
    goes on; is_excluded: maintenance goes on now. A breach that was seen lately outlasts whatever the last window says,
    as its alert does; what is too old is neither good nor bad.
    """
    if verdict is None:
        return State.EXCLUDED if is_excluded else State.NEVER
    if has_breach and not is_stale:
        return State.BREACHED
    if is_excluded:
        return State.EXCLUDED
    return State.STALE if is_stale else State(verdict.value)


def standing_of(facts: Facts) -> Standing:
    """Return the state of an SLO on a slice with its words."""
    row = facts.newest
    state = state_of(
        row.verdict if row else None,
        is_stale=facts.stale_since is not None,
        has_breach=facts.breach_id is not None,
        is_excluded=facts.exclusion is not None,
    )
    return Standing(state, _reason(state, facts), _since(state, facts), next_step(state, facts))


def burn_word(facts: Facts, *, has_budget: bool, is_fast: bool) -> BurnWord:
    """Return how the budget goes down; is_fast: one of the agreed rates is passed, as stored with the availability."""
    if not has_budget:
        return BurnWord.NONE
    if is_fast:
        return BurnWord.FAST
    if facts.newest is not None and facts.newest.verdict is Verdict.BREACHED:
        return BurnWord.SPENDING
    return BurnWord.RECOVERING if facts.bad_at else BurnWord.STEADY


_STEPS: Final = {
    State.BREACHED: "See the likely causes with `calslo explain {breach}` and follow `calslo runbook {slo}`.",
    State.WARNING: "Nothing is broken yet: read `calslo runbook {slo}` and act before the limit is passed.",
    State.UNKNOWN: "Check that the log has what {slo} rests on ({needs}) and that labels arrive.",
    State.ERROR: "Mend what the reason names, then run `calslo evaluate`; `calslo slos show {slo}` shows the promise.",
    State.STALE: "Check that events arrive, and that the minute and weekly jobs run and succeed in Dagster.",
    State.NEVER: "Start the schedules in Dagster, or run `calslo backfill` for the past.",
}
_TOO_FEW: Final = "Wait for {needed:,} more events, or make the window of {slo} longer in calslo.yaml."


def next_step(state: State, facts: Facts) -> str:
    """Return what to do next, in a sentence; empty for `meeting`."""
    slo, row = facts.slo, facts.newest
    if state is State.EXCLUDED:
        return _after_exclusion(facts.exclusion)
    lacks_events = state is State.UNKNOWN and row is not None and bool(row.needed)
    return (_TOO_FEW if lacks_events else _STEPS.get(state, "")).format(
        slo=slo.name,
        breach=facts.breach_id[:8] if facts.breach_id else slo.name,
        needs=", ".join(sorted(slo.needs)) or "events",
        needed=(row.needed if row else None) or 0,
    )


def _after_exclusion(exclusion: Exclusion | None) -> str:
    if exclusion is None:
        return "Nothing to do: it counts again once its window lies behind the maintenance."
    return f"Nothing to do before {exclusion.span.end:%Y-%m-%d %H:%M} UTC, when the maintenance ends."


def _reason(state: State, facts: Facts) -> str:
    row = facts.newest
    if state is State.EXCLUDED and facts.exclusion is not None:
        return f"Maintenance until {facts.exclusion.span.end:%Y-%m-%d %H:%M} UTC: {facts.exclusion.reason}"
    if row is None:
        return "It has never been measured."
    if state is State.STALE:
        return f"{_silence(facts, row)} Before that it was {_before(facts, row)}: {row.reason}"
    if state is State.BREACHED and row.verdict is not Verdict.BREACHED:
        return f"The breach is still open; the last window was {row.verdict}: {row.reason}"
    return row.reason


def _before(facts: Facts, row: Measurement) -> str:
    return Verdict.BREACHED.value if facts.breach_id else row.verdict.value


def _silence(facts: Facts, row: Measurement) -> str:
    """Return what has been missing since when; the evaluation may run although no events come."""
    if facts.stale_since == row.window_end:
        return f"Not measured since {row.window_end:%Y-%m-%d %H:%M} UTC."
    return f"Not evaluated since {facts.evaluated_at:%Y-%m-%d %H:%M} UTC."


def _since(state: State, facts: Facts) -> datetime | None:
    match state:
        case State.BREACHED:
            return facts.breach_onset or facts.changed_at
        case State.STALE:
            return facts.stale_since
        case State.EXCLUDED if facts.exclusion is not None:
            return facts.exclusion.span.start
        case State.NEVER:
            return None
        case _:
            return facts.changed_at
