"""Read the recent courses of many cards at once, for the small drawings beside them."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.reporting.board import Card
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import WEEK, window_ends
from calslo_dagster.store import measurements

_HOUR: Final = timedelta(hours=1)
_HOURS, _WEEKS = 24, 12
_SLICES: Final = 500


@dataclass(frozen=True, slots=True)
class Spark:
    """The values and verdicts of windows at equal distances, oldest first; `spoken`: how far back that is."""

    values: tuple[float | None, ...]
    verdicts: tuple[Verdict, ...]
    spoken: str


def read_sparks(project: Project, cards: Iterable[Card]) -> Mapping[tuple[str, str], Spark]:
    """Return the course up to the window of each card, by SLO and slice: a day hour by hour, of a weekly SLO 12 weeks.

    Of the first some hundred slices of each SLO; the others, and cards without a window, have none.
    """
    wanted: dict[str, list[Card]] = defaultdict(list)
    for card in cards:
        if card.window_end is not None and len(wanted[card.slo]) < _SLICES:
            wanted[card.slo].append(card)
    found: dict[tuple[str, str], Spark] = {}
    with project.store.read() as session:
        for slo, some in wanted.items():
            step = max(_HOUR, step_of(project, project.registry.find(slo)))
            back, spoken = (_WEEKS, "12 weeks") if step >= WEEK else (int(_HOURS * _HOUR / step), "24 hours")
            last = max(card.window_end for card in some if card.window_end)
            ends = window_ends(last - back * step, last, step)
            rows = measurements.courses(session, slo, (card.slice for card in some), ends)
            found |= {
                (slo, name): Spark(tuple(v for _, v, _ in course), tuple(w for _, _, w in course), spoken)
                for name, course in rows.items()
            }
    return found
