"""One SLO on one slice as a document: how it stands and why, its course, budget, reliability, breaches."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from calslo_dagster.errors import SnapshotError
from calslo_dagster.exports.chart_specs import budget_spec, off_bins, reliability_spec, trend_spec
from calslo_dagster.exports.charts import described, series_spec
from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.project_trends import TREND_SLO
from calslo_dagster.pipeline.read_board import breaches_of
from calslo_dagster.pipeline.read_course import course
from calslo_dagster.pipeline.tabulate_calibration import CalibrationTable, tabulate_slice
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.board import Card, Spend
from calslo_dagster.reporting.budget_course import BudgetCourse, budget_course
from calslo_dagster.reporting.document import (
    Cell,
    Column,
    Document,
    Fact,
    Figure,
    Reader,
    Section,
    Table,
    amount,
    bound,
    count,
    hidden,
    interval,
    moment,
    number,
    numbers,
    rows_of,
    share,
    state,
    text,
)
from calslo_dagster.reporting.points import Course
from calslo_dagster.reporting.states import WORDS
from calslo_dagster.reporting.trends import outlook
from calslo_dagster.slo.model import EVERYTHING, Measurement, Verdict
from calslo_dagster.slo.slice_trends import Quantity
from calslo_dagster.slo.windows import DAY, EPOCH, Window, day_of, window_ends
from calslo_dagster.store import breach_causes, measurements, slo_days, trends
from calslo_dagster.store.breaches import Breach

LAST_ROWS: Final = 12
# Windows after the one of the card: they are not complete yet.
_LATER: Final = 4


@dataclass(frozen=True, slots=True)
class Looked:
    """What the page of an SLO rests on: its card, the span, its course and the breaches in it."""

    card: Card
    span: Window
    course: Course
    breaches: tuple[Breach, ...]


def look(project: Project, card: Card, wanted: Wanted) -> Looked:
    """Return what is stored of the card's slice, up to its newest window."""
    end = wanted.until or card.window_end or card.evaluated_at
    if end is None:
        never = Window(EPOCH, EPOCH + timedelta(days=wanted.days))
        return Looked(card, never, Course(card.slo, card.slice, card.unit, card.operator, (), 0), ())
    # What is not complete yet belongs to the course as well.
    until = end if wanted.until else end + _LATER * step_of(project, project.registry.find(card.slo))
    span = Window(end - timedelta(days=wanted.days), until)
    most = project.settings.web.most_points
    found = course(project, project.registry.find(card.slo), card.slice, span=span, points=most)
    return Looked(card, span, found, breaches_of(project, card.slo, card.slice, span=span))


def slo_view(project: Project, card: Card, wanted: Wanted) -> Document:
    """Return the page of an SLO on a slice as a document."""
    seen = look(project, card, wanted)
    return Document(
        view=wanted.view,
        title=f"{card.title}, {'everything' if card.slice == '*' else card.slice}",
        lead=tuple(line for line in (card.reason, f"{card.objective}.", _next(card)) if line),
        state=str(card.state),
        as_of=card.window_end,
        filters={**wanted.stated, "slo": card.slo, "slice": card.slice},
        sections=tuple(sections(project, seen)),
        main="windows",
    )


def _next(card: Card) -> str:
    return f"Next: {card.next_step}" if card.next_step else ""


def sections(project: Project, seen: Looked) -> Iterator[Section]:
    """Yield the sections of the page."""
    card = seen.card
    yield Section("now", "Last complete window", facts=tuple(now_facts(card)))
    yield Section("course", "Course", figures=course_figures(seen), tables=(_windows(seen),))
    yield budget_section(project, card)
    yield from calibration_sections(project, card)
    yield Section("breaches", f"Breaches of these {_days(seen.span)} days", tables=(breaches_table(project, seen),))
    yield Section("evaluations", "Last evaluations", tables=(evaluations_table(project, card),))


def _days(span: Window) -> int:
    return max(1, round((span.end - span.start) / DAY))


def now_facts(card: Card) -> Iterator[Fact]:
    """Yield the numbers of the card."""
    yield Fact("state", "State", state(card.state, WORDS[card.state]))
    yield Fact("value", "Value", Cell(card.shown_value, card.value), f"95 % interval {card.shown_interval}")
    yield Fact("threshold", "Limit", bound(card.threshold, card.unit))
    yield Fact("events", "Events", count(card.events), _labelled(card))
    yield Fact("window_end", "Window ends (UTC)", moment(card.window_end))


def _labelled(card: Card) -> str:
    return "" if card.labeled_share is None else f"{share(card.labeled_share).text} labelled"


def course_figures(seen: Looked) -> tuple[Figure, ...]:
    """Return the chart of the course; none without points."""
    if not seen.course.points:
        return ()
    last = seen.course.points[-1].at
    shaded = [
        (max(one.onset, seen.span.start), max(min(one.recovered_at or last, last), one.onset)) for one in seen.breaches
    ]
    bad = sum(point.verdict is Verdict.BREACHED for point in seen.course.points)
    told = (
        f"{bad} of those shown {'is' if bad == 1 else 'are'} breached." if bad else "None of those shown is breached."
    )
    caption = f"Dashed: the limit. Band: the 95 % interval. Red: breaches. {seen.course.windows:,} windows. {told}"
    return (Figure("course", "Course", series_spec(seen.course, shaded), described(seen.course), caption),)


def _windows(seen: Looked) -> Table:
    unit = seen.card.unit
    columns = (
        Column("window_end", "Window ends (UTC)"),
        Column("verdict", "State"),
        numbers("value", "Value"),
        *hidden("low", "high"),
        numbers("interval", "95 % interval", Reader.PEOPLE),
        numbers("threshold", "Limit"),
        numbers("events", "Events"),
        *hidden("is_final", "run_id"),
    )
    rows = [
        [
            moment(one.at),
            state(one.verdict, WORD_OF[one.verdict]),
            amount(one.value, unit),
            number(one.low),
            number(one.high),
            interval(one.low, one.high, unit),
            bound(one.threshold, unit),
            count(one.events),
            Cell(str(one.is_final), one.is_final),
            text(one.run_id),
        ]
        for one in reversed(seen.course.points)
    ]
    shown, windows = len(rows), seen.course.windows
    caption = f"The worst of every few of {windows:,} windows." if windows > shown else ""
    return Table(
        "windows",
        "Windows",
        columns,
        rows_of(rows),
        caption,
        "No window of these days has been measured.",
        is_aside=True,
    )


def budget_section(project: Project, card: Card) -> Section:
    """Return the error budget, how it went, and when it runs out at the pace of late."""
    spend = card.budget
    if spend is None:
        told = "No budget has been worked out yet; that is done with the first availability report of a day."
        return Section("budget", "Error budget", texts=(told,))
    went = burned(project, card, spend)
    facts = (
        Fact("left", "Left", Cell(f"{spend.left} of {spend.allowed} windows", spend.left), _left(spend)),
        Fact("used", "Used", count(spend.used), f"windows in {spend.period_days} days"),
        Fact("observed", "Kept", share(spend.observed), f"promised {share(card.target).text}"),
        Fact("coverage", "Measured", share(spend.coverage), "of the windows that there should be"),
        Fact("burn", "Burn", text(card.burn), _pace(went, spend)),
    )
    figures: tuple[Figure, ...] = ()
    if went.days:
        told = (
            f"{went.days[0].left:g} windows left on {went.days[0].day}, {went.days[-1].left:g} on {went.days[-1].day}."
        )
        caption = "Windows that may still be breached, at the end of each day. Dashed: at the pace of the last week."
        figures = (Figure("budget", "Error budget", budget_spec(went), told, caption),)
    return Section("budget", "Error budget", facts=facts, figures=figures)


def _left(spend: Spend) -> str:
    return "no window may fail" if spend.left_ratio is None else share(spend.left_ratio).text


def _pace(went: BudgetCourse, spend: Spend) -> str:
    if went.runs_out:
        return f"used up on {went.runs_out:%Y-%m-%d} at the pace of the last week"
    if spend.left <= 0 and spend.used:
        return "used up"
    return "lasts at the pace of the last week"


def burned(project: Project, card: Card, spend: Spend) -> BudgetCourse:
    """Return how the budget of the card went, by the counts of each day."""
    last = day_of(card.window_end) if card.window_end else date.min
    if card.window_end is None:
        return BudgetCourse((), (), None, 0.0)
    first = last - timedelta(days=2 * spend.period_days - 1)
    with project.store.read() as session:
        found = slo_days.bad_windows(session, card.slo, card.slice, first=first, last=last)
    days = [first + timedelta(days=n) for n in range(2 * spend.period_days)]
    begun = next((day for day in days if day in found), last)
    return budget_course([(day, found.get(day, 0)) for day in days if day >= begun], spend.allowed, spend.period_days)


def calibration_sections(project: Project, card: Card) -> Iterator[Section]:
    """Yield the reliability diagram of the card's window, and where the slice is heading, if that is known."""
    if "label" not in project.registry.find(card.slo).needs or card.window_end is None:
        return
    try:
        table = tabulate_slice(project, card.slice, [day_of(card.window_end)])
    except SnapshotError:
        table = None
    if table and table.bins:
        yield reliability_section(table, f"on {day_of(card.window_end)}")
    if card.slo == TREND_SLO:
        yield from _trend(project, card)


def reliability_section(table: CalibrationTable, when: str) -> Section:
    """Return the reliability diagram of a slice with its bins."""
    off = off_bins(table.bins)
    told = f"{off} of {len(table.bins)} bins are off, all together at 95 %."
    caption = (
        "Dashed: what a perfect model shows. Thin: the 95 % interval of each bin. Wide: 95 % of all bins together. "
        f"Triangle: off. Below: how dense the scores are, {when}."
    )
    figure = Figure(f"reliability-{table.slice}", "Reliability", reliability_spec(table.bins), told, caption)
    return Section("reliability", "Reliability", texts=(told,), figures=(figure,), tables=(bins_table(table),))


def bins_table(table: CalibrationTable) -> Table:
    """Return the bins of a slice as a table."""
    columns = (
        numbers("index", "Bin"),
        numbers("lower", "From"),
        numbers("upper", "To"),
        numbers("events", "Labelled"),
        numbers("mean_score", "Mean score"),
        numbers("observed", "Observed"),
        numbers("low", "low", Reader.PROGRAMS),
        numbers("high", "high", Reader.PROGRAMS),
        numbers("interval", "95 % interval", Reader.PEOPLE),
        numbers("gap", "Score − rate"),
        Column("agrees", "Agrees"),
    )
    rows = [
        [
            count(one.index + 1),
            number(one.lower),
            number(one.upper),
            count(one.events),
            number(one.mean_score),
            number(one.observed),
            number(one.low),
            number(one.high),
            interval(one.low, one.high, "ratio"),
            number(one.gap, sign=True),
            Cell("yes" if one.is_consistent else "no", one.is_consistent, state="" if one.is_consistent else "warning"),
        ]
        for one in table.bins
    ]
    name = "everything" if table.slice == EVERYTHING else table.slice
    return Table(
        f"bins-{table.slice}", f"Bins of {name}", columns, rows_of(rows), empty="No labels yet.", is_aside=True
    )


def _trend(project: Project, card: Card) -> Iterator[Section]:
    with project.store.read() as session:
        rows = [row for row in trends.latest(session, card.slo) if row.slice == card.slice]
    whole = next((row for row in rows if row.quantity is Quantity.EITHER), None)
    if whole is None:
        return
    figures = tuple(
        Figure(f"trend-{row.quantity}", _QUANTITIES[row.quantity], trend_spec(row), row.reason, _FORECAST)
        for row in rows
        if row.quantity in _QUANTITIES and row.forecast
    )
    yield Section("trend", "Where it is heading", texts=(outlook(whole),), figures=figures)


_QUANTITIES: Final = {Quantity.SHIFT: "Shift of the log odds", Quantity.SLOPE: "Slope"}
_FORECAST: Final = "The middle and the 10 to 90 % interval of the next 30 days. Dashed: where the SLO is breached."


def breaches_table(project: Project, seen: Looked) -> Table:
    """Return the breaches of the span, newest first, each with its likeliest cause."""
    with project.store.read() as session:
        causes = breach_causes.first(session, [one.id for one in seen.breaches])
    columns = (
        Column("onset", "Began (UTC)"),
        Column("recovered_at", "Ended (UTC)"),
        numbers("peak_value", "Worst"),
        numbers("windows_bad", "Windows"),
        Column("reason", "Why"),
        Column("cause", "Likeliest cause"),
        *hidden("id", "opened_at", "peak_at"),
    )
    rows = [
        [
            moment(one.onset),
            moment(one.recovered_at) if one.recovered_at else Cell("goes on"),
            amount(one.peak_value, seen.card.unit),
            count(one.windows_bad),
            text(one.reason),
            text(causes[one.id].evidence if one.id in causes else ""),
            text(one.id),
            moment(one.opened_at),
            moment(one.peak_at),
        ]
        for one in reversed(seen.breaches)
    ]
    return Table("breaches", f"Breaches of these {_days(seen.span)} days", columns, rows_of(rows), empty="None.")


def last_rows(project: Project, card: Card) -> Sequence[Measurement]:
    """Return the last evaluations of the slice, newest first."""
    if card.window_end is None:
        return ()
    step = step_of(project, project.registry.find(card.slo))
    ends = window_ends(card.window_end - LAST_ROWS * step, card.window_end + _LATER * step, step)
    with project.store.read() as session:
        found = measurements.at_ends(session, card.slo, card.slice, ends)
    return tuple(reversed(found))[:LAST_ROWS]


def evaluations_table(project: Project, card: Card) -> Table:
    """Return the last evaluations with the runs of Dagster that made them."""
    url = (project.settings.web.dagster_url or "").rstrip("/")
    columns = (
        Column("window_end", "Window ends (UTC)"),
        Column("verdict", "State"),
        numbers("value", "Value"),
        numbers("events", "Events"),
        Column("is_final", "Final"),
        Column("definition_hash", "Definition"),
        Column("run_id", "Run in Dagster"),
    )
    rows = [
        [
            moment(row.window_end),
            state(row.verdict, WORD_OF[row.verdict]),
            amount(row.value, card.unit),
            count(row.events),
            Cell("yes" if row.is_final else "no", row.is_final),
            Cell(row.definition_hash[:10], row.definition_hash),
            Cell(row.run_id[:8] or "–", row.run_id, path=f"{url}/runs/{row.run_id}" if url and row.run_id else ""),
        ]
        for row in last_rows(project, card)
    ]
    return Table("evaluations", "Last evaluations", columns, rows_of(rows), empty="None yet.")


WORD_OF: Final = {verdict: verdict.value.capitalize() for verdict in Verdict}
