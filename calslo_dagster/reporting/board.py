"""The board: how every SLO stands on every slice, read once and shown by every surface alike."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from calslo_dagster.reporting.states import BurnWord, Facts, State, burn_word, standing_of
from calslo_dagster.slo import health
from calslo_dagster.slo.health import Finding, Health
from calslo_dagster.slo.limits import excess, figure, promise
from calslo_dagster.slo.model import EVERYTHING, Bound, Measurement, Operator, Severity, Verdict
from calslo_dagster.slo.slices import matches
from calslo_dagster.slo.trials import Mode

NOTHING: Final = "–"
_EVERY_MINUTE: Final = frozenset({"evaluated_at", "age_seconds"})


@dataclass(frozen=True, slots=True)
class Spend:
    """An error budget in whole windows over `period_days`; left_ratio is None if nothing is allowed.

    left goes below zero when overspent; coverage: measured share of the expected windows.
    """

    allowed: int
    used: int
    left: int
    period_days: int
    left_ratio: float | None = None
    coverage: float | None = None
    observed: float | None = None
    is_fast: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One SLO on one slice as it stands now; numbers are in `unit`, None where nothing is known.

    objective: the promise as a sentence; excess: how far past the limit, in limits; labeled: how many of the window's
    events had a label; since: the end of the last window of another state, to the hour or, before today, to the day,
    None if it is longer ago than is looked back; age_seconds: since the last evaluation; verdict: that of the newest
    measurement, which the state may overrule; needed, detectable, debiased: as in `Measurement`.
    """

    slo: str
    title: str
    slice: str
    model: str
    state: State
    reason: str
    next_step: str
    since: datetime | None
    objective: str
    operator: Operator
    unit: str
    target: float
    severity: Severity
    owner: str = ""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    threshold: Bound | None = None
    warn_threshold: Bound | None = None
    excess: float = 0.0
    events: int = 0
    labeled: int = 0
    labeled_share: float | None = None
    verdict: Verdict | None = None
    is_final: bool = False
    window_start: datetime | None = None
    window_end: datetime | None = None
    evaluated_at: datetime | None = None
    age_seconds: float | None = None
    budget: Spend | None = None
    burn: BurnWord = BurnWord.NONE
    breach_id: str | None = None
    incident_id: str | None = None
    run_id: str = ""
    definition_hash: str = ""
    mode: Mode = Mode.THRESHOLD
    debiased: float | None = None
    detectable: float | None = None
    needed: int | None = None

    @property
    def is_current(self) -> bool:
        """Whether the numbers speak of now; of a stale card they are the last ones known."""
        return self.state not in (State.STALE, State.NEVER)

    @property
    def shown_value(self) -> str:
        """The value with its unit, a dash for none."""
        return NOTHING if self.value is None else figure(self.value, self.unit)

    @property
    def shown_interval(self) -> str:
        """The interval with its unit, a dash for none."""
        if self.low is None and self.high is None:
            return NOTHING
        return " to ".join(NOTHING if end is None else figure(end, self.unit) for end in (self.low, self.high))

    @property
    def shown_limit(self) -> str:
        """The limit in words, a dash for none."""
        return NOTHING if self.threshold is None else promise(self.operator, self.threshold, self.unit)


@dataclass(frozen=True, slots=True)
class ActiveAlert:
    """An incident that goes on: what pages, with whom it is and how many slices it gathers."""

    id: str
    kind: str
    slo: str
    title: str
    model: str
    severity: Severity
    state: str
    since: datetime
    members: int
    slices: tuple[str, ...]
    acked_by: str | None = None
    acked_at: datetime | None = None
    suppressed_by: str | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class BoardFilter:
    """Which cards are wanted: names may be shell patterns, empty ones are everything."""

    slo: str = ""
    slice: str = ""
    model: str = ""
    states: frozenset[State] = frozenset()

    def takes(self, slo: str, slice_name: str, model: str) -> bool:
        """Whether a card of these names is wanted, whatever its state."""
        wanted = ((self.slo, slo), (self.slice, slice_name), (self.model, model))
        return all(_is(pattern, name) for pattern, name in wanted)

    def takes_slo(self, slo: str) -> bool:
        """Whether any card of this SLO is wanted."""
        return _is(self.slo, slo)


def _is(pattern: str, name: str) -> bool:
    # In a filter `*` alone means the slice of that name: everything together, not all slices.
    return pattern in ("", name) or (pattern != EVERYTHING and matches(pattern, name))


@dataclass(frozen=True, slots=True)
class Board:
    """All cards, worst first.

    counts and health are of every card that the names of the filter take, whatever its state, so that a page that shows
    one state still counts the others; version: changes exactly when what is stored or a state changes, not as time
    passes; evaluated_at: the last evaluation of any SLO.
    """

    cards: tuple[Card, ...]
    counts: Mapping[State, int]
    health: Health
    alerts: tuple[ActiveAlert, ...]
    evaluated_at: datetime | None
    now: datetime
    version: str
    evaluations: Mapping[str, datetime] = field(default_factory=dict)

    def card(self, slo: str, slice_name: str = EVERYTHING) -> Card | None:
        """Return the card of an SLO on a slice, None if it is not on the board."""
        return next((one for one in self.cards if one.slo == slo and one.slice == slice_name), None)


def card_of(facts: Facts, *, now: datetime, spend: Spend | None = None) -> Card:
    """Return the card of an SLO on a slice; `facts.newest` is None for an SLO that was never measured."""
    slo, row, standing = facts.slo, facts.newest, standing_of(facts)
    seen_at = facts.evaluated_at or (row.window_end if row else None)
    return Card(
        slo=slo.name,
        title=slo.title,
        slice=row.slice if row else EVERYTHING,
        model=row.model if row else "",
        state=standing.state,
        reason=standing.reason,
        next_step=standing.next_step,
        since=standing.since,
        objective=_objective(facts),
        operator=slo.objective.operator,
        unit=slo.unit,
        target=slo.target,
        severity=slo.severity,
        owner=slo.owner,
        evaluated_at=facts.evaluated_at,
        age_seconds=max(0.0, (now - seen_at).total_seconds()) if seen_at else None,
        budget=spend,
        burn=burn_word(facts, has_budget=spend is not None, is_fast=spend is not None and spend.is_fast),
        breach_id=facts.breach_id,
        incident_id=facts.incident_id,
        **(_measured(row, slo.objective.operator) if row else {}),
    )


_COPIED: Final = (
    *("value", "low", "high", "threshold", "warn_threshold", "events", "labeled", "verdict", "is_final"),
    *("window_start", "window_end", "run_id", "definition_hash", "mode", "debiased", "detectable", "needed"),
)


def _measured(row: Measurement, operator: Operator) -> dict[str, Any]:
    """Return what the card takes from the measurement, by the names of its fields."""
    has_both = row.value is not None and row.threshold is not None
    return {
        **{name: getattr(row, name) for name in _COPIED},
        "excess": excess(operator, row.value, row.threshold) if has_both else 0.0,  # type: ignore[arg-type]  # checked above
        "labeled_share": min(1.0, row.labeled / row.events) if row.events else None,
    }


def _objective(facts: Facts) -> str:
    slo, row = facts.slo, facts.newest
    limit = row.threshold if row and row.threshold is not None else slo.objective.limit
    return f"{slo.title} is {promise(slo.objective.operator, limit, slo.unit)} in {slo.target * 100:g} % of windows"


def board_of(
    cards: Iterable[Card],
    *,
    now: datetime,
    alerts: Sequence[ActiveAlert] = (),
    evaluations: Mapping[str, datetime] | None = None,
    states: frozenset[State] = frozenset(),
) -> Board:
    """Return the board of these cards; states: those that are wanted of it, all if none are named."""
    every, seen = worst_first(cards), evaluations or {}
    counted = Counter(card.state for card in every)
    shown = tuple(card for card in every if not states or card.state in states)
    return Board(
        cards=shown,
        counts={state: counted[state] for state in State},
        health=health.health("overall", [_finding(card, now) for card in every]),
        alerts=tuple(alerts),
        evaluated_at=max(seen.values(), default=None),
        now=now,
        version=_version(shown, alerts),
        evaluations=seen,
    )


def narrowed(board: Board, wanted: BoardFilter) -> Board:
    """Return the board of the cards that the filter takes, as if only these had been read."""
    cards = [card for card in board.cards if wanted.takes(card.slo, card.slice, card.model)]
    return board_of(cards, now=board.now, alerts=board.alerts, evaluations=board.evaluations, states=wanted.states)


def worst_first(cards: Iterable[Card]) -> list[Card]:
    """Return the cards by state, breaches first and meeting last, each by how far past the limit it is."""
    return sorted(cards, key=lambda card: (card.state.rank, -card.excess, card.slo, card.slice, card.model))


def _finding(card: Card, now: datetime) -> Finding:
    """Return the card as health counts it: what is stale or was never measured is unknown."""
    start = card.window_start or now
    row = Measurement(
        slo=card.slo,
        slice=card.slice,
        model=card.model,
        window_start=start,
        window_end=card.window_end or start,
        value=card.value,
        threshold=card.threshold,
        warn_threshold=card.warn_threshold,
        low=card.low,
        high=card.high,
        events=card.events,
        labeled=card.labeled,
        verdict=card.state.verdict,
        reason=card.reason,
    )
    return Finding(row, card.excess)


_CARD: Final = tuple(f.name for f in fields(Card) if f.name not in _EVERY_MINUTE)
_SPEND: Final = tuple(f.name for f in fields(Spend))
_ALERT: Final = tuple(f.name for f in fields(ActiveAlert))


def _version(cards: Iterable[Card], alerts: Iterable[ActiveAlert]) -> str:
    """Return what identifies the results: what ticks by itself, such as an age, is no part of it."""
    digest = sha256()
    # One after the other: as one text, a thousand slices would take more memory than the board.
    for names, found in ((_CARD, cards), (_ALERT, alerts)):
        for one in found:
            told = [_plain(getattr(one, name)) for name in names]
            digest.update(json.dumps(told, separators=(",", ":")).encode())
        digest.update(b"\n")
    return digest.hexdigest()[:16]


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.timestamp()
    return [getattr(value, name) for name in _SPEND] if isinstance(value, Spend) else value
