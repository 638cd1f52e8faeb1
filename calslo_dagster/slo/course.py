"""The course of one promise about one slice over a span: a verdict per window, kept small enough for a year of them.

From it follow the breaches, the availability and the budgets that burned, as they do from stored measurements.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.slo.availability import Tally, exact
from calslo_dagster.slo.breach import BreachState, Episode, Outcome, Track, fold, unhasty
from calslo_dagster.slo.budget import PlannedTier
from calslo_dagster.slo.limits import excess
from calslo_dagster.slo.many import CODE, VERDICTS, Codes
from calslo_dagster.slo.model import EVERYTHING, SLO, Bound, Measurement, Verdict
from calslo_dagster.slo.windows import Window

Ints = NDArray[np.int64]

# The code of a window end at which the slice was not measured.
NO_ROW: Final = -1
_GOOD: Final = [CODE[Verdict.MEETING], CODE[Verdict.WARNING]]
_BAD: Final = CODE[Verdict.BREACHED]
# So many windows are folded at a time, until the breach that they are about is over.
_AT_ONCE: Final = 96


@dataclass(frozen=True, slots=True)
class Grid:
    """The window ends of a span: `count` of them, `step` apart, the first one `step` after `start`.

    watermark: up to where windows are final, None for nowhere; seen: the time of the newest event, if known.
    """

    start: datetime
    step: timedelta
    count: int
    watermark: datetime | None = None
    seen: datetime | None = None

    def end(self, place: int) -> datetime:
        """Return the window end at this place, 0 for the first."""
        return self.start + (place + 1) * self.step

    def place(self, end: datetime) -> int:
        """Return the place of the last window end that is not after this instant; -1 for none."""
        return (end - self.start) // self.step - 1

    @property
    def final(self) -> int:
        """How many of the windows are final."""
        return 0 if self.watermark is None else min(max(self.place(self.watermark) + 1, 0), self.count)


@dataclass(slots=True, eq=False)
class Course:
    """What became of the windows of one SLO and slice, filled in the order of time.

    codes: the verdict of each window end of the grid as its place in `VERDICTS`, -1 for none, shape (count,); bad,
    values, limits: the places of the breached ones, with value and fail limit of each; models: from which place on the
    slice was of which model.
    """

    slo: SLO
    slice: str
    grid: Grid
    codes: Codes = field(init=False)
    bad: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    limits: list[Bound | None] = field(default_factory=list)
    models: list[tuple[int, str]] = field(default_factory=list)
    _folded: tuple[Episode, ...] | None = None

    def __post_init__(self) -> None:
        """Begin without any window."""
        self.codes = np.full(self.grid.count, NO_ROW, dtype=np.int8)

    def add(self, rows: Iterable[Measurement]) -> None:
        """Take over measurements in the order of their windows."""
        for row in rows:
            place = self.grid.place(row.window_end)
            self.codes[place] = CODE[row.verdict]
            self.note_model(place, row.model)
            if row.verdict is Verdict.BREACHED:
                self.note_bad(place, row.value, row.threshold)

    def note_bad(self, place: int, value: float | None, limit: Bound | None) -> None:
        """Keep how bad the window was."""
        self.bad.append(place)
        self.values.append(np.nan if value is None else value)
        self.limits.append(limit)

    def note_model(self, place: int, model: str) -> None:
        """Keep whose window it was; one that does not tell leaves the last model that is known."""
        is_named = model not in ("", EVERYTHING)
        if not self.models or (self.models[-1][1] != model and (is_named or self.slice == EVERYTHING)):
            self.models.append((place, model))

    def model_at(self, end: datetime) -> str:
        """Return the model of the window that ends there, or else of the last one before."""
        place = self.grid.place(end)
        found = [model for first, model in self.models if first <= place]
        return found[-1] if found else (self.models[0][1] if self.models else "")

    def limit_at(self, end: datetime) -> Bound | None:
        """Return the limit that the breached window missed that ends there."""
        place = int(np.searchsorted(self.bad, self.grid.place(end)))
        return self.limits[place] if place < len(self.bad) else None

    @property
    def measured(self) -> int:
        """How many windows there are."""
        return int((self.codes != NO_ROW).sum())

    def tally(self) -> Tally:
        """Return the windows by state from the first measured one on; those that are missing are unknown."""
        rows = np.flatnonzero(self.codes != NO_ROW)
        codes = self.codes[rows[0] :] if len(rows) else self.codes[:0]
        good, bad = int(np.isin(codes, _GOOD).sum()), int((codes == _BAD).sum())
        excluded = int((codes == CODE[Verdict.EXCLUDED]).sum())
        return Tally(good, bad, len(codes) - good - bad - excluded, excluded)

    def episodes(self) -> tuple[Episode, ...]:
        """Return the breaches that these windows open, in the order of time; nothing may be added afterwards."""
        if self._folded is None:
            self._folded = self._episodes()
        return self._folded

    def _episodes(self) -> tuple[Episode, ...]:
        track = replace(Track.of(self.slo, self.slice), step=self.grid.step)
        found: dict[str, Episode] = {}
        state, place, final = BreachState(), 0, self.grid.final
        bad = np.array(self.bad, dtype=np.int64)
        while place < self.grid.count:
            if state.episode is None:
                # Between breaches nothing can happen that a fold would have to see.
                following = int(np.searchsorted(bad, place))
                if following >= len(bad):
                    break
                place = int(bad[following])
            until = min(place + _AT_ONCE, final) if place + _AT_ONCE <= final else self.grid.count
            state, episodes = fold(track, state, self._outcomes(place, until))
            found |= {one.id: one for one in episodes}
            place = until
        return tuple(replace(one, model=self.model_at(one.last_bad)) for one in found.values())

    def _outcomes(self, first: int, last: int) -> Iterator[Outcome]:
        operator, final = self.slo.objective.operator, self.grid.final
        at = int(np.searchsorted(self.bad, first))
        for place, code in enumerate(self.codes[first:last].tolist(), start=first):
            end = self.grid.end(place)
            if code == _BAD:
                value, limit, at = self.values[at], self.limits[at], at + 1
                past = 0.0 if np.isnan(value) or limit is None else excess(operator, value, limit)
                shown = None if np.isnan(value) else value
                yield Outcome(end, self._counts_as(end, place < final), shown, past, is_final=place < final)
            elif code != NO_ROW:
                yield Outcome(end, VERDICTS[code], is_final=place < final)

    def _counts_as(self, end: datetime, is_final: bool) -> Verdict:  # noqa: FBT001 - a fact about the window
        window = Window(end - self.slo.window, end)
        return Verdict.BREACHED if is_final else unhasty(self.slo, window, Verdict.BREACHED, seen=self.grid.seen)

    def burns(self, plan: Sequence[PlannedTier]) -> tuple["Burned", ...]:
        """Return the spans in which the budget burned too fast, by the tier with the shortest window that fires.

        plan: the tiers, of which those that were dropped never fire. Windows before the first are unknown.
        """
        fastest = np.full(self.grid.final, len(plan))
        order = sorted(range(len(plan)), key=lambda place: plan[place].long, reverse=True)
        for place in order:
            if not plan[place].dropped:
                fastest[self._fires(plan[place])] = place
        turns = np.flatnonzero(np.diff(fastest, prepend=len(plan)))
        ends = [*(self.grid.end(int(turn)) for turn in turns[1:]), None]
        return tuple(
            Burned(plan[fastest[turn]], self.grid.end(int(turn)), end)
            for turn, end in zip(turns, ends, strict=False)
            if fastest[turn] < len(plan)
        )

    def _fires(self, tier: PlannedTier) -> NDArray[np.bool_]:
        """Whether each final window end has the tier burn, in integers: bad / expected > factor * (1 - target)."""
        limit = tier.factor * (1 - exact(self.slo.target))
        fires = np.ones(self.grid.final, dtype=np.bool_)
        for length in (tier.long, tier.short):
            bad = _running(self.codes[: self.grid.final] == _BAD, length)
            expected = length - _running(self.codes[: self.grid.final] == CODE[Verdict.EXCLUDED], length)
            fires &= bad * limit.denominator > expected * limit.numerator
        return fires


@dataclass(frozen=True, slots=True)
class Burned:
    """A span in which a tier fired, with its end if it came to one."""

    tier: PlannedTier
    start: datetime
    end: datetime | None


def _running(flags: NDArray[np.bool_], length: int) -> Ints:
    """Return how many of the last `length` flags are set, at each of them."""
    total = np.concatenate([[0], np.cumsum(flags)])
    first = np.maximum(np.arange(1, len(total)) - length, 0)
    counted: Ints = total[1:] - total[first]
    return counted
