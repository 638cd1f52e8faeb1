"""How an SLO stands now, by all that is stored of it: what one run measured is only what changed since the last."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.project_trends import TREND_SLO
from calslo_dagster.pipeline.roll_up_health import current
from calslo_dagster.slo.model import EVERYTHING, JUDGED, SLO, Cadence, Measurement, Verdict
from calslo_dagster.slo.slice_trends import SliceTrend
from calslo_dagster.slo.windows import DAY, WEEK, day_span
from calslo_dagster.store import breaches, measurements, trends

MOST_NAMED: Final = 10
SHOWN_DAY: Final = DAY
SHOWN_WEEKS: Final = 12 * WEEK


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known of every slice now, and which of them have a breach that goes on."""

    rows: tuple[Measurement, ...]
    open: tuple[str, ...] = ()

    @property
    def breached(self) -> tuple[str, ...]:
        """The slices that do not meet the objective, those with an open breach first."""
        newest = [row.slice for row in self.rows if row.verdict is Verdict.BREACHED]
        return tuple(dict.fromkeys((*self.open, *newest)))

    @property
    def judged(self) -> int:
        """How many slices could be judged."""
        return sum(row.verdict in JUDGED for row in self.rows)

    @property
    def unknown(self) -> int:
        """How many slices could not be judged, for whatever reason."""
        return len(self.rows) - self.judged

    @property
    def errors(self) -> tuple[str, ...]:
        """The distinct reasons for which the indicator could not be computed."""
        return tuple(sorted({row.reason for row in self.rows if row.verdict is Verdict.ERROR}))

    @property
    def is_met(self) -> bool:
        """Whether something is known and nothing speaks against it; what is unknown is never met."""
        return self.judged > 0 and not self.breached

    @property
    def says(self) -> str:
        """How the SLO stands, in a sentence."""
        if self.breached:
            named, rest = self.breached[:MOST_NAMED], len(self.breached) - MOST_NAMED
            more = f" and {rest} more" if rest > 0 else ""
            return f"breached in {', '.join(named)}{more}"
        if self.judged:
            doubt = f"; {self.unknown} of {len(self.rows)} are unknown" if self.unknown else ""
            return f"met in every slice that could be judged{doubt}"
        if not self.rows:
            return "nothing is known: nothing has been measured lately"
        [(reason, slices)] = Counter(row.reason for row in self.rows).most_common(1)
        return f"nothing is known of any of {len(self.rows)} slices, {slices} of them for one reason: {reason}"


def read_standing(project: Project, slo: SLO, *, now: datetime) -> Standing:
    """Return how the SLO stands now."""
    with project.store.read() as session:
        going_on = breaches.open_ones(session, slo.name)
    return Standing(tuple(current(project, slo, now)), tuple(breach.slice for breach in going_on))


def breached_slices(project: Project, days: Sequence[date]) -> tuple[str, ...]:
    """Return the slices with a breach on one of the days, those first whose breach is about what came true."""
    start, end = day_span(min(days)).start, day_span(max(days)).end
    with project.store.read() as session:
        found = breaches.between(session, start=start, end=end)
    graded = {slo.name for slo in project.registry if "label" in slo.needs}
    return tuple(dict.fromkeys(one.slice for one in sorted(found, key=lambda breach: breach.slo not in graded)))


def read_course(project: Project, slo: SLO, *, until: datetime | None = None) -> tuple[float, ...]:
    """Return the values of all traffic over the day, or the twelve weeks, before `until`, oldest first.

    `until` is the end of a window; without it, of the last one that was measured.
    """
    with project.store.read() as session:
        end = until or measurements.last_end(session, slo.name)
        if end is None:
            return ()
        start = end - max(SHOWN_WEEKS if slo.cadence is Cadence.WEEKLY else SHOWN_DAY, step_of(project, slo))
        rows = measurements.between(session, slo.name, start=start, end=end, slice_name=EVERYTHING)
    return tuple(row.value for row in rows if row.value is not None)


def read_trends(project: Project, *, until: date | None = None) -> tuple[SliceTrend, ...]:
    """Return the last trends that were projected, none later than `until`."""
    with project.store.read() as session:
        return trends.latest(session, TREND_SLO, until=until)
