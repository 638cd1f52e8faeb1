"""The one resource: the project, opened when a run first needs it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

from calslo_dagster.pipeline.project import Project, open_project
from calslo_dagster.settings import Settings


def _wall_clock() -> datetime:
    return datetime.now(UTC)


@dataclass
class LazyProject:
    """Opens the state store at first use, because definitions are also loaded where no database is reachable.

    `now` is the clock of every stage; tests and the demo set their own. `on_day` is called for each day whose snapshots
    are there, once for each log.
    """

    settings: Settings
    now: Callable[[], datetime] = _wall_clock
    on_day: Callable[[date], None] | None = None
    _opened: Project | None = field(default=None, repr=False)

    def open(self) -> Project:
        """Return the project; its schema is brought up to date at the first call."""
        if self._opened is None:
            self._opened = open_project(self.settings, migrate=True)
        return self._opened
