"""What two settings make of the same span: windows, breaches and pages side by side, and a summary in words."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from itertools import chain
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calslo_dagster.alerting.playback import Page
from calslo_dagster.slo.availability import Tally
from calslo_dagster.slo.breach import Episode
from calslo_dagster.slo.budget import Budget, budget
from calslo_dagster.slo.course import NO_ROW, Course
from calslo_dagster.slo.many import VERDICTS, Codes
from calslo_dagster.slo.model import Bound, Verdict

# A breach that goes on shares all time to come.
_FOREVER: Final = datetime(9000, 1, 1, tzinfo=UTC)


class Edit(StrEnum):
    """What became of an SLO from one settings to the other."""

    SAME = "same"
    CHANGED = "changed"
    ADDED = "added"
    REMOVED = "removed"


class Match(StrEnum):
    """How a breach of one settings is found again under the other."""

    SAME = "same"
    MOVED = "moved"
    ONLY_NOW = "only_now"
    ONLY_NEW = "only_new"


@dataclass(frozen=True, slots=True)
class Seen:
    """One breach as one of the settings sees it, with the limit that its worst window missed."""

    episode: Episode
    limit: Bound | None


@dataclass(frozen=True, slots=True)
class BreachPair:
    """A breach under the settings in force, and the one that shares most time with it under the new ones."""

    match: Match
    now: Seen | None
    new: Seen | None


@dataclass(frozen=True, slots=True)
class Shift:
    """Windows in a row whose verdict differs in the same way: `first` and `last` are their ends, None is no row."""

    before: Verdict | None
    after: Verdict | None
    first: datetime
    last: datetime
    windows: int


@dataclass(frozen=True, slots=True)
class Stand:
    """How one of the settings judges one slice: windows by verdict and by state, the target, and the budget."""

    verdicts: Mapping[Verdict, int]
    tally: Tally
    target: float
    budget: Budget


@dataclass(frozen=True, slots=True)
class SliceComparison:
    """One slice of one SLO: `now` or `new` is None where only the other settings measure it."""

    slo: str
    slice: str
    now: Stand | None
    new: Stand | None
    shifts: tuple[Shift, ...]
    breaches: tuple[BreachPair, ...]

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return self.now != self.new or bool(self.shifts) or any(p.match is not Match.SAME for p in self.breaches)

    @property
    def windows(self) -> int:
        """How many windows have another verdict."""
        return sum(shift.windows for shift in self.shifts)


@dataclass(frozen=True, slots=True)
class SloComparison:
    """One SLO: what was edited, as the names of its fields, and its slices."""

    slo: str
    unit: str
    edit: Edit
    fields: tuple[str, ...]
    slices: tuple[SliceComparison, ...]

    @property
    def differs(self) -> bool:
        """Whether anything differs; an SLO that comes or goes does."""
        return self.edit in (Edit.ADDED, Edit.REMOVED) or any(one.differs for one in self.slices)


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that two settings make of a span: `notes` say what it rests on and what it leaves out."""

    start: datetime
    end: datetime
    slos: tuple[SloComparison, ...]
    pages_now: tuple[Page, ...]
    pages_new: tuple[Page, ...]
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether anything differs."""
        return self.pages_now != self.pages_new or any(one.differs for one in self.slos)


def compared(slo: str, slice_name: str, now: Course | None, new: Course | None) -> SliceComparison:
    """Return how the two courses of a slice differ, window by window and breach by breach."""
    both = now is not None and new is not None and now is not new
    return SliceComparison(
        slo=slo,
        slice=slice_name,
        now=_stand(now),
        new=_stand(new),
        shifts=tuple(_shifts(now, new)) if both and now and new else (),
        breaches=tuple(paired(_seen(now), _seen(new))),
    )


def _stand(course: Course | None) -> Stand | None:
    if course is None:
        return None
    codes, counts = np.unique(course.codes[course.codes != NO_ROW], return_counts=True)
    verdicts = {VERDICTS[code]: n for code, n in zip(codes.tolist(), counts.tolist(), strict=True)}
    tally = course.tally()
    return Stand(verdicts, tally, course.slo.target, budget(tally, course.slo.target))


def _seen(course: Course | None) -> list[Seen]:
    if course is None:
        return []
    return [Seen(one, course.limit_at(one.peak_at) if one.peak_at else None) for one in course.episodes()]


def _shifts(now: Course, new: Course) -> Iterator[Shift]:
    """Yield the windows that both settings have an end of, where the verdicts differ."""
    ends, before, after = _shared(now, new)
    differs = np.flatnonzero(before != after)
    if not len(differs):
        return
    is_new_run = np.ones(len(differs), dtype=np.bool_)
    steady = (np.diff(before[differs]) == 0) & (np.diff(after[differs]) == 0)
    is_new_run[1:] = ~((np.diff(differs) == 1) & steady)
    for run in np.split(differs, np.flatnonzero(is_new_run)[1:]):
        first, last = int(run[0]), int(run[-1])
        yield Shift(_verdict(before[first]), _verdict(after[first]), ends[first], ends[last], len(run))


def _shared(now: Course, new: Course) -> tuple[list[datetime], Codes, Codes]:
    """Return the window ends that both have, with the verdicts of either."""
    if now.grid == new.grid:
        return [now.grid.end(place) for place in range(now.grid.count)], now.codes, new.codes
    places = {now.grid.end(place): place for place in range(now.grid.count)}
    pairs = [(places[end], place) for place in range(new.grid.count) if (end := new.grid.end(place)) in places]
    mine: NDArray[np.int64] = np.array([one for one, _ in pairs], dtype=np.int64)
    theirs: NDArray[np.int64] = np.array([other for _, other in pairs], dtype=np.int64)
    return [now.grid.end(one) for one in mine.tolist()], now.codes[mine], new.codes[theirs]


def _verdict(code: int) -> Verdict | None:
    return None if code == NO_ROW else VERDICTS[code]


def paired(now: Sequence[Seen], new: Sequence[Seen]) -> list[BreachPair]:
    """Return every breach once, each with the one of the other settings that shares most time with it, by onset."""
    overlaps = sorted((-shared, i, j) for shared, i, j in _overlaps(now, new))
    taken_now, taken_new, pairs = set[int](), set[int](), list[BreachPair]()
    for _, i, j in overlaps:
        if i not in taken_now and j not in taken_new:
            taken_now.add(i)
            taken_new.add(j)
            pairs.append(BreachPair(_match(now[i], new[j]), now[i], new[j]))
    pairs += [BreachPair(Match.ONLY_NOW, one, None) for i, one in enumerate(now) if i not in taken_now]
    pairs += [BreachPair(Match.ONLY_NEW, None, one) for j, one in enumerate(new) if j not in taken_new]
    return sorted(pairs, key=lambda pair: min(one.episode.onset for one in (pair.now, pair.new) if one))


def _match(now: Seen, new: Seen) -> Match:
    same = (now.episode.onset, now.episode.recovery) == (new.episode.onset, new.episode.recovery)
    return Match.SAME if same else Match.MOVED


def _overlaps(now: Sequence[Seen], new: Sequence[Seen]) -> Iterator[tuple[timedelta, int, int]]:
    """Yield the time that two breaches share, with the place of either; those of one side follow each other."""
    i = j = 0
    while i < len(now) and j < len(new):
        mine, other = now[i].episode, new[j].episode
        end, others_end = mine.recovery or _FOREVER, other.recovery or _FOREVER
        shared = min(end, others_end) - max(mine.onset, other.onset)
        if shared > timedelta(0):
            yield shared, i, j
        i, j = (i + 1, j) if end <= others_end else (i, j + 1)


def summary(found: Comparison, name: str) -> list[str]:
    """Return what differs in a few sentences, the pages first; `name` is what the new settings are called."""
    if not found.differs:
        return [f"{name} changes nothing: every window, breach and page is the same."]
    return [_paging(found, name), *chain.from_iterable(_told(one) for one in found.slos)]


def told(pages: Iterable[Page]) -> int:
    """Return how many incidents somebody would have been told of."""
    return sum(page.is_told for page in pages)


def _paging(found: Comparison, name: str) -> str:
    now, new = told(found.pages_now), told(found.pages_new)
    if now == new:
        return f"{name} would have paged {_times(new)}, as often as now."
    return f"{name} would have paged {_times(new)} instead of {now:,}."


def _told(one: SloComparison) -> Iterator[str]:
    """Yield what differs of one SLO: whether it is there, its breaches, and its windows."""
    if one.edit in (Edit.ADDED, Edit.REMOVED):
        yield f"{one.slo} is {'new' if one.edit is Edit.ADDED else 'no longer measured'}{_found(one)}."
        return
    for match, (is_one, are_several) in _WORDS.items():
        slices = [s.slice for s in one.slices for pair in s.breaches if pair.match is match]
        if slices:
            breaches = _counted(len(slices), "breach", "breaches")
            yield f"{breaches} of {one.slo} on {_on(slices)} {is_one if len(slices) == 1 else are_several}."
    windows, slices = sum(s.windows for s in one.slices), [s.slice for s in one.slices if s.windows]
    if windows:
        verb = "has" if windows == 1 else "have"
        yield f"{_counted(windows, 'window', 'windows')} of {one.slo} on {_on(slices)} {verb} another verdict."


_WORDS: Mapping[Match, tuple[str, str]] = {
    Match.ONLY_NOW: ("is no longer seen", "are no longer seen"),
    Match.ONLY_NEW: ("is seen that was not", "are seen that were not"),
    Match.MOVED: ("begins or ends at another time", "begin or end at other times"),
}


def _found(one: SloComparison) -> str:
    breaches = sum(len(s.breaches) for s in one.slices)
    if not breaches:
        return ", without any breach in these days"
    return f", with {_counted(breaches, 'breach', 'breaches')} in these days"


def _on(slices: Sequence[str]) -> str:
    names = list(dict.fromkeys(slices))
    return names[0] if len(names) == 1 else f"{len(names):,} slices"


def _times(count: int) -> str:
    return _counted(count, "time", "times")


def _counted(count: int, one: str, several: str) -> str:
    return f"{count:,} {one if count == 1 else several}"
