"""How big the demo is and when it plays."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from calslo_dagster.slo.windows import DAY, Window, utc, week_of

# The folders of the demo's log.
EVENTS: Final = "events"
LABELS: Final = "labels"
# The script of incidents always plays in the last two weeks; a longer period begins with quiet days.
SCRIPT_LENGTH: Final = timedelta(days=14)


@dataclass(frozen=True, slots=True)
class DemoSpec:
    """The demo's size: `days` days of traffic up to `end`, a Monday 00:00 UTC, so that whole ISO weeks exist.

    The noise depends on the seed and on the time since the script began, not on the calendar: another `end` shows the
    same story on other dates.
    """

    end: datetime
    seed: int = 11
    days: int = 14
    events_per_day: float = 92_000.0

    def __post_init__(self) -> None:
        """Refuse an end that is no Monday midnight and sizes without events."""
        if week_of(self.end).start != utc(self.end):
            raise ValueError(f"the demo ends on a Monday 00:00 UTC, not {self.end:%A %F %T %Z}; use latest_monday(now)")
        if self.days < 1 or self.events_per_day <= 0 or self.seed < 0:
            raise ValueError(f"the demo needs at least one day, some events and a seed of 0 or more: {self}")

    @property
    def start(self) -> datetime:
        """The first instant with events."""
        return utc(self.end) - self.days * DAY

    @property
    def opening(self) -> datetime:
        """The instant that the script's offsets count from, two weeks before the end."""
        return utc(self.end) - SCRIPT_LENGTH

    @property
    def period(self) -> Window:
        """The scripted period; traffic after it is live and healthy."""
        return Window(self.start, utc(self.end))


def latest_monday(now: datetime) -> datetime:
    """Return the Monday 00:00 UTC that `now`'s ISO week began with."""
    return week_of(now.astimezone(UTC)).start
