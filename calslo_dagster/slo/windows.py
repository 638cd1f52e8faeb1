"""Windows of time: the 15-minute grid, days, ISO weeks, and which instants a measurement covers.

A measurement is named by the end of its window. Ends lie on a grid of UTC steps, windows are half-open [start, end).
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Self

from calslo_dagster.slo.model import SLO, Cadence

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
STEP: Final = timedelta(minutes=15)
DAY: Final = timedelta(days=1)
WEEK: Final = timedelta(days=7)
# 1970 began on a Thursday; weeks are counted from the Monday before.
_MONDAY: Final = datetime(1969, 12, 29, tzinfo=UTC)


@dataclass(frozen=True, slots=True, order=True)
class Window:
    """A half-open span [start, end) of UTC time."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        """Refuse naive times and spans that do not go forward."""
        if utc(self.start) >= utc(self.end):
            raise ValueError(f"a window ends after it starts, not {self.start:%F %T} to {self.end:%F %T}")

    @property
    def length(self) -> timedelta:
        """The span's duration."""
        return self.end - self.start

    def overlaps(self, other: Self) -> bool:
        """Whether the two share an instant."""
        return self.start < other.end and other.start < self.end

    def shared(self, other: Self) -> timedelta:
        """Return how much time the two share."""
        return max(timedelta(0), min(self.end, other.end) - max(self.start, other.start))


def utc(instant: datetime) -> datetime:
    """Return the instant in UTC; a naive time is refused."""
    if instant.tzinfo is None:
        raise ValueError(
            f"{instant.isoformat()} has no time zone; write it as {instant.isoformat()}+00:00 if it is UTC"
        )
    return instant.astimezone(UTC)


def step_of(slo: SLO) -> timedelta:
    """Return the distance between the SLO's window ends: 15 minutes, or a week for weekly SLOs."""
    return WEEK if slo.cadence is Cadence.WEEKLY else STEP


def window_ends(start: datetime, end: datetime, step: timedelta = STEP) -> list[datetime]:
    """Return the window ends in (start, end], ascending, on the UTC grid of `step`; weeks end on Mondays."""
    first, last = _floor(start, step) + step, _floor(end, step)
    return [first + i * step for i in range((last - first) // step + 1)]


def open_end(now: datetime, step: timedelta = STEP) -> datetime:
    """Return the end of the bucket that `now` falls into: the next grid point after it."""
    return _floor(now, step) + step


def day_of(window_end: datetime) -> date:
    """Return the day whose partition owns the window end: midnight belongs to the day that it closes."""
    return (utc(window_end) - timedelta(microseconds=1)).date()


def day_span(day: date) -> Window:
    """Return the UTC day as a window."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Window(start, start + DAY)


def week_of(instant: datetime) -> Window:
    """Return the ISO week, Monday to Monday, that the instant falls into."""
    start = _floor(instant, WEEK)
    return Window(start, start + WEEK)


def window_of(slo: SLO, window_end: datetime) -> Window:
    """Return the window of the SLO that ends there."""
    return Window(utc(window_end) - slo.window, utc(window_end))


def baseline_of(window: Window) -> Window:
    """Return the window of the same length right before."""
    return Window(window.start - window.length, window.start)


def bucket_of(slo: SLO, window_end: datetime) -> Window:
    """Return the step that the window end closes: the exposure that its verdict stands for."""
    return Window(utc(window_end) - step_of(slo), utc(window_end))


def is_final(window_end: datetime, watermark: datetime | None) -> bool:
    """Whether the watermark has passed the window's end, so that only late data can still change it."""
    return watermark is not None and watermark >= window_end


def spoken(length: timedelta) -> str:
    """Return a duration in its two largest units: `1 d 6 h`, `15 min`, `0 s`."""
    seconds = round(length.total_seconds())
    parts: list[tuple[int, str]] = []
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s")):
        count, seconds = divmod(seconds, size)
        parts += [(count, name)] if count or parts else []
    return " ".join(f"{count} {name}" for count, name in parts[:2] if count) or "0 s"


def _floor(instant: datetime, step: timedelta) -> datetime:
    if step <= timedelta(0) or (WEEK % step if step > DAY else DAY % step):
        raise ValueError(f"a step divides a day or a week evenly, not {step}")
    origin = _MONDAY if step > DAY else EPOCH
    return utc(instant) - (utc(instant) - origin) % step
