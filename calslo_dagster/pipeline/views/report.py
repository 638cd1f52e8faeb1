"""The report of a week or a month: summary, each SLO, breaches, drift, budgets, and what to do."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from calslo_dagster.errors import ExportError
from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.views.drift import movers
from calslo_dagster.pipeline.views.overview import card_path
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.document import (
    Cell,
    Column,
    Document,
    Fact,
    Section,
    Table,
    amount,
    count,
    hidden,
    moment,
    numbers,
    rows_of,
    share,
    slice_cell,
    state,
    text,
)
from calslo_dagster.reporting.periods import Period, period_of, week_before
from calslo_dagster.slo.availability import Promise, Tally
from calslo_dagster.slo.budget import Budget, budget
from calslo_dagster.slo.causes import Cause
from calslo_dagster.slo.model import EVERYTHING, SLO, Verdict
from calslo_dagster.slo.windows import spoken
from calslo_dagster.stats.changes import RULES
from calslo_dagster.store import breach_causes, breaches, drift, evaluations, incidents, slo_days
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.drift import DriftRow

# Slices of an SLO that are named; the totals speak of all of them.
NAMED: Final = 10
MOST_BREACHES: Final = 100
MOST_MOVERS: Final = 50
# With more than this share of its windows unknown, an SLO says little.
MUCH_UNKNOWN: Final = 0.5


@dataclass(frozen=True, slots=True)
class Kept:
    """How an SLO was kept on a slice in the period: its windows and its budget, in whole windows of the period."""

    slo: SLO
    slice: str
    tally: Tally
    budget: Budget

    @property
    def rank(self) -> tuple[float, int, str]:
        """What sorts the worst first."""
        allowed = self.budget.allowed
        return (self.budget.left / allowed if allowed else -float(self.tally.bad), -self.tally.bad, self.slice)


@dataclass(frozen=True, slots=True)
class Found:
    """What is stored of the period."""

    kept: Mapping[str, Sequence[Kept]]
    breaches: Sequence[Breach]
    causes: Mapping[str, Cause]
    moved: Sequence[DriftRow]
    incidents: int


def report(project: Project, wanted: Wanted, *, now: datetime) -> Document:
    """Return the report; ExportError for a period that is none, or is not over.

    Without a period it is of the last week that was over when anything was last evaluated.
    """
    period = _period(project, wanted, now)
    found = _read(project, period, wanted)
    until = period.span.end
    return Document(
        wanted.view,
        f"Calibration report, {period.name}",
        tuple(_lead(period, found)),
        _state(found),
        until,
        {**wanted.stated, "period": period.name},
        (
            Section("summary", "Summary", facts=tuple(_summary(found))),
            Section("actions", "What to do", texts=tuple(_actions(found, until)) or ("Nothing.",)),
            Section("slos", "Each SLO", tables=(_slos(project, found),)),
            Section("budgets", "Budgets, worst first", tables=(_budgets(found),)),
            Section("breaches", "Breaches", tables=(_breaches(project, found, until),)),
            Section("drift", "Drift", tables=(movers(found.moved[:MOST_MOVERS]),)),
        ),
    )


def _period(project: Project, wanted: Wanted, now: datetime) -> Period:
    if not wanted.period:
        with project.store.read() as session:
            seen = [evaluations.last_look(session, slo.name) for slo in project.registry]
        return week_before(max((at for at in seen if at is not None), default=now))
    try:
        period = period_of(wanted.period)
    except ValueError as error:
        raise ExportError(str(error)) from error
    if period.span.end > now:
        raise ExportError(f"{wanted.period} is not over before {period.span.end:%Y-%m-%d}; ask again then")
    return period


def _read(project: Project, period: Period, wanted: Wanted) -> Found:
    slos = [slo for slo in project.registry if wanted.takes(wanted.slo, slo.name)]
    first, last = period.days
    with project.store.read() as session:
        counts = {slo.name: slo_days.added(session, slo.name, first=first, last=last) for slo in slos}
        found = breaches.between(session, start=period.span.start, end=period.span.end)
        moved = drift.history(session, since=period.span.start)
        opened = incidents.between(session, start=period.span.start, end=period.span.end)
        own = [
            one
            for one in found
            if one.slo in counts and wanted.takes(wanted.slice, one.slice) and not one.is_provisional
        ]
        causes = breach_causes.first(session, [one.id for one in own])
    kept = {slo.name: _kept(slo, counts[slo.name], _expected(project, slo, period), wanted) for slo in slos}
    rows = [
        row
        for row in moved
        if period.span.start < row.week_end <= period.span.end
        and wanted.takes(wanted.slice, row.slice)
        and row.metric in RULES
        and RULES[row.metric].judged_by == row.metric
        and row.verdict in (Verdict.BREACHED, Verdict.WARNING)
    ]
    begun = sum(period.span.start <= one.opened_at < period.span.end for one in opened)
    return Found(kept, sorted(own, key=lambda one: -one.peak_excess), causes, rows, begun)


def _expected(project: Project, slo: SLO, period: Period) -> int:
    """Return how many windows there should be of each slice."""
    return (period.span.end - period.span.start) // step_of(project, slo)


def _kept(slo: SLO, counts: Mapping[str, Mapping[Verdict, int]], expected: int, wanted: Wanted) -> list[Kept]:
    """Return how the SLO was kept on each slice; windows that should be there and are not are unknown."""
    found = []
    for name, by in counts.items():
        if not wanted.takes(wanted.slice, name):
            continue
        good, bad = by.get(Verdict.MEETING, 0) + by.get(Verdict.WARNING, 0), by.get(Verdict.BREACHED, 0)
        excluded = by.get(Verdict.EXCLUDED, 0)
        tally = Tally(good, bad, max(0, expected - good - bad - excluded), excluded)
        found.append(Kept(slo, name, tally, budget(tally, slo.target)))
    return sorted(found, key=lambda one: one.rank)


def _lead(period: Period, found: Found) -> Iterator[str]:
    every = [one for kept in found.kept.values() for one in kept]
    if not every:
        yield f"{period.spoken} (UTC): nothing was measured."
        return
    broken = sum(one.budget.promise is Promise.BROKEN for one in every)
    yield (
        f"{period.spoken} (UTC): {broken:,} of {len(every):,} promises were broken, "
        f"with {len(found.breaches):,} breaches and {found.incidents:,} incidents."
    )


def _state(found: Found) -> str:
    promises = {one.budget.promise for kept in found.kept.values() for one in kept}
    if not promises:
        return "never"
    if Promise.BROKEN in promises:
        return "breached"
    return "warning" if found.breaches else "unknown" if promises == {Promise.UNDETERMINED} else "meeting"


def _summary(found: Found) -> Iterator[Fact]:
    every = [one for kept in found.kept.values() for one in kept]
    promised = Counter(one.budget.promise for one in every)
    tally = _total(every)
    yield Fact("promises", "Promises", count(len(every)), "SLOs on slices")
    for promise in Promise:
        yield Fact(str(promise), f"Promises {promise}", count(promised[promise]))
    yield Fact("good", "Good windows", count(tally.good), _of(tally.good, tally))
    yield Fact("bad", "Breached windows", count(tally.bad), _of(tally.bad, tally))
    yield Fact("unknown", "Unknown windows", count(tally.unknown), _of(tally.unknown, tally))
    yield Fact("breaches", "Breaches", count(len(found.breaches)))
    yield Fact("incidents", "Incidents", count(found.incidents))
    yield Fact("moved", "Changes past their limit", count(sum(row.verdict is Verdict.BREACHED for row in found.moved)))


def _of(windows: int, tally: Tally) -> str:
    whole = tally.good + tally.bad + tally.unknown + tally.excluded
    return share(windows / whole).text if whole else ""


def _actions(found: Found, until: datetime) -> Iterator[str]:
    """Yield what to do, the breaches that go on first; those of one SLO with one cause are one task."""
    tasks: dict[tuple[str, str, str], list[Breach]] = {}
    for one in found.breaches:
        if one.recovered_at is None or one.recovered_at > until:
            cause = found.causes.get(one.id)
            known = (cause.kind.value, cause.advice) if cause and cause.stands_out else ("", "")
            tasks.setdefault((one.slo, *known), []).append(one)
    for (name, _, advice), every in tasks.items():
        worst = every[0]
        where = _named(worst.slice) if len(every) == 1 else f"{_slices(len(every))}, worst {_named(worst.slice)}"
        told = (
            f" {found.causes[worst.id].evidence} {advice}" if advice else f" `calslo runbook {name}` says what to do."
        )
        yield f"{name} is breached on {where}, since {worst.onset:%Y-%m-%d %H:%M} UTC.{told}"
    for name, kept in found.kept.items():
        spent = [one for one in kept if one.budget.left < 0]
        if spent:
            yield f"{name} has overspent the budget of {_slices(len(spent))}, worst {_named(spent[0].slice)}."
        blind = [one for one in kept if _unknown_share(one) > MUCH_UNKNOWN]
        if blind:
            yield (
                f"{name} could not tell most of the time on {len(blind):,} of {_slices(len(kept))}, such as "
                f"{_named(blind[0].slice)}: `calslo slos certify {name}` says what would."
            )


def _slices(number: int) -> str:
    return f"{number:,} slice{'s' if number != 1 else ''}"


def _unknown_share(one: Kept) -> float:
    due = one.tally.good + one.tally.bad + one.tally.unknown
    return one.tally.unknown / due if due else 0.0


def _named(slice_name: str) -> str:
    return "everything" if slice_name == EVERYTHING else slice_name


def _slos(project: Project, found: Found) -> Table:
    columns = (
        Column("slo", "SLO"),
        Column("title", "Title"),
        numbers("target", "Target"),
        numbers("slices", "Slices"),
        numbers("kept", "Kept"),
        numbers("broken", "Broken"),
        numbers("undetermined", "Open"),
        numbers("observed", "Good of known"),
        numbers("coverage", "Known"),
        numbers("bad", "Breached windows"),
        Column("window", "Step"),
        *hidden("good", "unknown", "excluded"),
    )
    rows = [_slo(project, project.registry.find(name), kept) for name, kept in found.kept.items()]
    return Table("slos", "Each SLO", columns, rows_of(rows), empty="No SLO matches.")


def _slo(project: Project, slo: SLO, kept: Sequence[Kept]) -> list[Cell]:
    by, tally = Counter(one.budget.promise for one in kept), _total(kept)
    known, due = tally.good + tally.bad, tally.good + tally.bad + tally.unknown
    return [
        text(slo.name, path=f"/slos/{slo.name}"),
        text(slo.title),
        share(slo.target),
        count(len(kept)),
        *(count(by[promise]) for promise in (Promise.KEPT, Promise.BROKEN, Promise.UNDETERMINED)),
        share(tally.good / known if known else None),
        share(known / due if due else None),
        count(tally.bad),
        text(spoken(step_of(project, slo))),
        *(count(windows) for windows in (tally.good, tally.unknown, tally.excluded)),
    ]


def _total(kept: Iterable[Kept]) -> Tally:
    found = list(kept)
    return Tally(*(sum(getattr(one.tally, name) for one in found) for name in ("good", "bad", "unknown", "excluded")))


def _budgets(found: Found) -> Table:
    columns = (
        Column("slo", "SLO"),
        Column("slice", "Slice"),
        Column("promise", "Promise"),
        numbers("allowed", "Allowed"),
        numbers("used", "Used"),
        numbers("left", "Left"),
        numbers("unknown", "Unknown"),
        numbers("observed", "Good of known"),
        *hidden("good", "bad", "excluded", "target"),
    )
    rows = [
        [
            text(one.slo.name, path=card_path(one.slo.name, one.slice)),
            slice_cell(one.slice),
            state(_WORDS[one.budget.promise], one.budget.promise.value),
            count(one.budget.allowed),
            count(one.budget.used),
            count(one.budget.left),
            count(one.tally.unknown),
            share(one.tally.observed),
            count(one.tally.good),
            count(one.tally.bad),
            count(one.tally.excluded),
            Cell(f"{one.slo.target:.6g}", one.slo.target),
        ]
        for kept in found.kept.values()
        for one in kept[:NAMED]
    ]
    told = f"In whole windows of the period, the worst {NAMED} slices of each SLO."
    return Table("budgets", "Budgets, worst first", columns, rows_of(rows), told, "Nothing was measured.")


_WORDS: Final = {Promise.KEPT: "meeting", Promise.BROKEN: "breached", Promise.UNDETERMINED: "unknown"}


def _breaches(project: Project, found: Found, until: datetime) -> Table:
    units = {slo.name: slo.unit for slo in project.registry}
    columns = (
        Column("slo", "SLO"),
        Column("slice", "Slice"),
        Column("onset", "Began (UTC)"),
        Column("recovered_at", "Ended (UTC)"),
        Column("lasted", "Lasted"),
        numbers("peak_value", "Worst"),
        Column("cause", "Likeliest cause"),
        *hidden("id", "reason"),
    )
    rows = []
    for one in found.breaches[:MOST_BREACHES]:
        is_over = one.recovered_at is not None and one.recovered_at <= until
        end = one.recovered_at if is_over and one.recovered_at else until
        rows.append(
            [
                text(one.slo, path=card_path(one.slo, one.slice)),
                slice_cell(one.slice),
                moment(one.onset),
                moment(one.recovered_at) if is_over else Cell("goes on"),
                Cell(spoken(end - one.onset), (end - one.onset).total_seconds()),
                amount(one.peak_value, units.get(one.slo, "ratio")),
                text(found.causes[one.id].evidence if one.id in found.causes else ""),
                text(one.id),
                text(one.reason),
            ]
        )
    rest = len(found.breaches) - len(rows)
    told = f"The worst {len(rows):,}; {rest:,} more are in the API." if rest > 0 else ""
    return Table("breaches", "Breaches", columns, rows_of(rows), told, "None.")
