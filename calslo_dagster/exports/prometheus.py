"""The board as Prometheus metrics: what is not known has no series, and never a zero in its place."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.samples import Exemplar

from calslo_dagster.exports.counters import Counters
from calslo_dagster.reporting.board import Board, Card
from calslo_dagster.reporting.states import State
from calslo_dagster.slo.health import Word
from calslo_dagster.slo.model import EVERYTHING, Bound, Operator

PLAIN: Final = CONTENT_TYPE_PLAIN_0_0_4
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"
MOST_SERIES: Final = 20_000
# Beyond them, what a run id would take is cut by OpenMetrics: 128 letters for the whole exemplar.
_LONGEST_RUN_ID: Final = 100
_CARD: Final = ("slo", "slice", "model")
_LOWER: Final = frozenset({Operator.AT_LEAST, Operator.ABOVE})
Number = Callable[[Card], float | None]


@dataclass(frozen=True, slots=True)
class Promised:
    """What metrics say of an SLO whatever its slices: target, and the distance of its evaluations."""

    slo: str
    target: float
    cadence: timedelta


def exposition(
    board: Board,
    accept: str = "",
    *,
    promised: Sequence[Promised] = (),
    counters: Counters | None = None,
    most_series: int = MOST_SERIES,
    seconds: float | None = None,
) -> tuple[bytes, str]:
    """Return the board in the format that the `Accept` header prefers, with its content type.

    Prometheus text unless OpenMetrics is asked for, which alone has exemplars. counters: those of the process, already
    told of the latest totals; without them nothing is counted. most_series: the worst slices come first, the rest is
    left out and counted. seconds: how long it took to read the board.
    """
    return _encoded(_Found(board, promised, counters, most_series, seconds), accept)


def unavailable(accept: str = "") -> tuple[bytes, str]:
    """Return what is to be answered when the store cannot be read: that it is so, and nothing else."""
    return _encoded(_Down(), accept)


def kept_cards(cards: Sequence[Card], most_series: int) -> tuple[Card, ...]:
    """Return the cards that have room: those of all traffic first, then the worst of the slices."""
    whole = [card for card in cards if card.slice == EVERYTHING]
    ordered = [*whole, *(card for card in cards if card.slice != EVERYTHING)]
    return tuple(ordered[: max(1, most_series // _series_of_a_card())])


def dropped_series(board: Board, most_series: int = MOST_SERIES) -> int:
    """Return how many series are left out for want of room, for `Counters.watch`."""
    return (len(board.cards) - len(kept_cards(board.cards, most_series))) * _series_of_a_card()


def _encoded(collector: "_Found | _Down", accept: str) -> tuple[bytes, str]:
    registry = CollectorRegistry(auto_describe=False)
    registry.register(collector)
    # The library's own choice fails on a version that is no number, and repeats what the header says in its answer.
    kinds = [part.partition(";")[0].strip().lower() for part in accept.split(",")]
    if OPENMETRICS.partition(";")[0] in kinds:
        body: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call]  # it has no types yet
        return body, OPENMETRICS
    return generate_latest(registry), PLAIN


class _Down:
    """What is left to say without a store."""

    def collect(self) -> Iterator[Metric]:
        """Yield that the store cannot be read."""
        yield GaugeMetricFamily("calslo_store_up", "Whether the store could be read.", value=0)


# The registry keeps collectors in a set, and a board cannot be hashed: each answer is its own.
@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """The board with what belongs to it."""

    board: Board
    promised: Sequence[Promised]
    counters: Counters | None
    most_series: int
    seconds: float | None

    def collect(self) -> Iterator[Metric]:
        """Yield every metric."""
        yield GaugeMetricFamily("calslo_store_up", "Whether the store could be read.", value=1)
        if self.seconds is not None:
            told = "How long it took to read the board for this answer."
            yield GaugeMetricFamily("calslo_collect_duration_seconds", told, value=self.seconds)
        cards = kept_cards(self.board.cards, self.most_series)
        for name, (told, number) in _NUMBERS.items():
            yield _gauge(name, told, _CARD, ((_labels(card), number(card)) for card in cards))
        yield from _limits(cards)
        yield _statuses(cards)
        yield from _whole(self.board, self.promised)
        if self.counters is not None:
            yield from _counted(self.counters, _runs(self.board.cards))


def _current(name: str) -> Number:
    """Return what reads a number of cards that speak of now: an old value without its age would look like a new one."""

    def number(card: Card) -> float | None:
        found: float | None = getattr(card, name) if card.is_current else None
        return found

    return number


_NUMBERS: Final[Mapping[str, tuple[str, Number]]] = {
    "calslo_sli_value": ("The last measured value, in the unit of the SLO.", _current("value")),
    "calslo_sli_lower_bound": ("Lower end of the 95 % interval of the value.", _current("low")),
    "calslo_sli_upper_bound": ("Upper end of the 95 % interval of the value.", _current("high")),
    "calslo_sli_events": ("Events behind the value.", _current("events")),
    "calslo_sli_labeled_ratio": ("Share of the events that have a label.", _current("labeled_share")),
    "calslo_error_budget_allowed_windows": (
        "Bad windows that the period allows.",
        lambda card: card.budget.allowed if card.budget else None,
    ),
    "calslo_error_budget_used_windows": (
        "Bad windows of the period.",
        lambda card: card.budget.used if card.budget else None,
    ),
    "calslo_error_budget_remaining_ratio": (
        "Share of the error budget that is left; below 0 when overspent.",
        lambda card: card.budget.left_ratio if card.budget else None,
    ),
    "calslo_error_budget_coverage_ratio": (
        "Share of the expected windows that could be judged.",
        lambda card: card.budget.coverage if card.budget else None,
    ),
    "calslo_error_budget_burning": (
        "Whether the budget burns faster than an agreed rate, by the stored windows.",
        lambda card: float(card.budget.is_fast) if card.budget else None,
    ),
}


def _series_of_a_card() -> int:
    """Return how many series one card has at most: its numbers, four limits and one status each."""
    return len(_NUMBERS) + 4 + len(State)


def _labels(card: Card) -> tuple[str, ...]:
    return (card.slo, card.slice, "" if card.model == EVERYTHING else card.model)


def _gauge(
    name: str, told: str, labels: Sequence[str], found: Iterable[tuple[Sequence[str], float | None]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, told, labels=labels)
    for values, number in found:
        if number is not None:
            family.add_metric(values, number)
    return family


def _limits(cards: Sequence[Card]) -> Iterator[Metric]:
    """Yield the limits; `bound` says on which side of the value a limit is."""
    named = (*_CARD, "bound")
    fails = [((*_labels(card), side), limit) for card in cards for side, limit in _sides(card, card.threshold)]
    warns = [((*_labels(card), side), limit) for card in cards for side, limit in _sides(card, card.warn_threshold)]
    yield _gauge("calslo_objective_threshold", "The limit that the value has to keep.", named, fails)
    yield _gauge("calslo_objective_warning_threshold", "The limit from which on there is a warning.", named, warns)


def _sides(card: Card, limit: Bound | None) -> Iterator[tuple[str, float]]:
    if isinstance(limit, tuple):
        yield from zip(("lower", "upper"), limit, strict=True)
    elif limit is not None:
        yield ("lower" if card.operator in _LOWER else "upper"), limit


def _statuses(cards: Iterable[Card]) -> GaugeMetricFamily:
    """Return one series for each state, 1 for the one it is in."""
    told = "1 for the status that the SLO of the slice is in, 0 for the others."
    found = (((*_labels(card), state.value), float(card.state is state)) for card in cards for state in State)
    return _gauge("calslo_status", told, (*_CARD, "status"), found)


def _whole(board: Board, promised: Sequence[Promised]) -> Iterator[Metric]:
    """Yield what is not about single slices."""
    target, cadence = "Share of windows that have to meet the objective.", "Distance of two evaluations that are due."
    targets = (((one.slo,), one.target) for one in promised)
    cadences = (((one.slo,), one.cadence.total_seconds()) for one in promised)
    looks = (((slo,), at.timestamp()) for slo, at in sorted(board.evaluations.items()))
    yield _gauge("calslo_objective_target_ratio", target, ("slo",), targets)
    yield _gauge("calslo_evaluation_interval_seconds", cadence, ("slo",), cadences)
    yield _gauge("calslo_last_evaluation_timestamp_seconds", "When the SLO was last evaluated.", ("slo",), looks)
    words = (((word.value,), float(board.health.word is word)) for word in Word)
    yield _gauge("calslo_health", "1 for the word that sums up the health of everything.", ("word",), words)
    score = "Health of everything from 0 to 100, in the band of its word."
    yield _gauge("calslo_health_score", score, (), [((), board.health.score)])
    counts = (((state.value,), float(count)) for state, count in board.counts.items())
    yield _gauge("calslo_slices", "Slices of all SLOs by status, whether or not they have series.", ("status",), counts)
    yield _alerts(board)


def _alerts(board: Board) -> GaugeMetricFamily:
    open_ones: dict[tuple[str, ...], float] = {}
    for one in board.alerts:
        labels = (one.kind, one.slo, one.severity.value, one.state)
        open_ones[labels] = open_ones.get(labels, 0.0) + 1.0
    named = ("kind", "slo", "severity", "state")
    return _gauge("calslo_incidents", "Incidents that go on.", named, sorted(open_ones.items()))


def _runs(cards: Iterable[Card]) -> dict[tuple[str, str], str]:
    """Return the run behind the newest verdict of each SLO and outcome, for exemplars; the worst slice names it."""
    runs: dict[tuple[str, str], str] = {}
    for card in cards:
        if card.run_id and card.verdict and len(card.run_id) <= _LONGEST_RUN_ID:
            outcome = {State.BREACHED: "bad", State.MEETING: "good", State.WARNING: "good"}.get(card.state, "")
            runs.setdefault((card.slo, outcome), card.run_id)
    return runs


def _counted(counters: Counters, runs: Mapping[tuple[str, str], str]) -> Iterator[Metric]:
    """Yield the counters; those of evaluations name the run that the newest one came from."""
    windows = "Final windows of all slices by outcome."
    judged = CounterMetricFamily("calslo_evaluations", windows, labels=("slo", "outcome"))
    for labels, count in sorted(counters.evaluations.items()):
        run = runs.get((labels[0], labels[1]))
        exemplar = Exemplar({"run_id": run}, 1.0) if run and count else None
        judged.add_sample(
            "calslo_evaluations_total", dict(zip(("slo", "outcome"), labels, strict=True)), count, None, exemplar
        )
    yield judged
    opened = CounterMetricFamily("calslo_breach_events", "Breaches that opened.", labels=("slo",))
    for labels, count in sorted(counters.breaches.items()):
        opened.add_metric(labels, count)
    yield opened
    told = "Messages that were delivered or given up."
    sent = CounterMetricFamily("calslo_notifications", told, labels=("channel", "outcome"))
    for labels, count in sorted(counters.messages.items()):
        sent.add_metric(labels, count)
    yield sent
    left_out = "Series that answers left out because there were too many."
    yield CounterMetricFamily("calslo_series_dropped", left_out, value=counters.dropped)
