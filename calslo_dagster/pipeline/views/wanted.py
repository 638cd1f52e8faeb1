"""What is asked of a view: its name, and what is to be left out."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from calslo_dagster.reporting.board import BoardFilter
from calslo_dagster.reporting.states import State
from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.slo.slices import matches

USUAL_DAYS: Final = 14
MOST_DAYS: Final = 400


class View(StrEnum):
    """What can be looked at."""

    OVERVIEW = "overview"
    SLO = "slo"
    CALIBRATION = "calibration"
    DRIFT = "drift"
    ALERTS = "alerts"
    AUDIT = "audit"
    SETTINGS = "settings"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A view and its filters; names may be shell patterns, empty ones are everything.

    days: how far back, from what is newest; until: the end of that, None for the newest there is; period: the week or
    month of a report, such as 2026-W10 or 2026-03, empty for the last whole week.
    """

    view: View
    slo: str = ""
    slice: str = ""
    model: str = ""
    severity: str = ""
    states: frozenset[State] = frozenset()
    days: int = USUAL_DAYS
    until: datetime | None = None
    period: str = ""

    @property
    def board(self) -> BoardFilter:
        """The filter of the board."""
        return BoardFilter(self.slo, self.slice, self.model, self.states)

    @property
    def stated(self) -> Mapping[str, str]:
        """What was asked for, without what is usual."""
        found = {name: getattr(self, name) for name in ("slo", "slice", "model", "severity", "period")}
        found["state"] = ",".join(sorted(self.states))
        found["days"] = str(self.days) if self.days != USUAL_DAYS else ""
        found["until"] = self.until.isoformat() if self.until else ""
        return {name: value for name, value in found.items() if value}

    def takes(self, pattern: str, name: str) -> bool:
        """Whether a name is one that the pattern stands for; `*` is the slice of everything, as on the board."""
        return pattern in ("", name) or (pattern != "*" and matches(pattern, name))


def file_name(wanted: Wanted, ending: str) -> str:
    """Return what the file is to be called."""
    parts = ["calslo", wanted.view.value, wanted.slo, wanted.slice if wanted.slice != EVERYTHING else "", wanted.period]
    name = "-".join("".join(c if c.isalnum() else "-" for c in part).strip("-") for part in parts if part)
    return f"{name[:120]}.{ending}"
