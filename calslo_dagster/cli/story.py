"""What the demo tells at its end: the state of every promise, the breaches against the script, availability, places."""

import os
import shlex
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Final

from rich.console import Console

from calslo_dagster.cli.incidents import tell_incidents
from calslo_dagster.cli.tables import console, narrow_wraps, print_measurements, table
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.pipeline.compare_modes import ModesReport, compare_modes
from calslo_dagster.pipeline.evaluate_demo import evaluate_demo
from calslo_dagster.pipeline.feed_demo import demo_script
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_standing import read_trends
from calslo_dagster.pipeline.roll_up_health import current
from calslo_dagster.reporting.availability import mean_time
from calslo_dagster.reporting.tables import moment, percent, worst_first
from calslo_dagster.reporting.trends import sentences
from calslo_dagster.slo.windows import spoken
from calslo_dagster.sources.demo.scoring import Scorecard
from calslo_dagster.sources.demo.script import Incident, Script
from calslo_dagster.store import availability, health
from calslo_dagster.store.availability import AvailabilityRow

MOST_HEADING: Final = 5


def tell(project: LazyProject, settings_file: Path, *, compare: bool = True) -> None:
    """Print the demo's result; `compare` adds what evidence mode would have found."""
    out, opened, now = console(), project.open(), project.now()
    measured = [row for slo in opened.registry for row in current(opened, slo, now)]
    print_measurements(out, worst_first(measured, opened.registry), f"State on {moment(now)} UTC, worst first", 20)
    out.print()
    _tell_script(out, evaluate_demo(opened, now=now), demo_script(opened.settings, now))
    if compare:
        _tell_modes(out, compare_modes(opened, now=now), demo_script(opened.settings, now))
    tell_incidents(out, opened, since=opened.settings.demo_spec(now).start)
    out.print(f"{_command(settings_file, 'alerts show ID')} has all of one.\n", style="dim", soft_wrap=True)
    _tell_availability(out, opened)
    out.print()
    _tell_health(out, opened)
    _tell_trends(out, opened)
    _tell_places(out, opened, settings_file)


def _tell_script(out: Console, card: Scorecard, script: Script) -> None:
    header = ("incident", "from (UTC)", "lasts", "must breach", "outcome", "delay", "recovery")
    rows = [row for incident in script.incidents for row in _incident(incident, card, script)]
    out.print(table("Breaches against the script", header, rows, wraps=narrow_wraps(out, header)))
    out.print(
        f"\n{len(card.found)} found, {len(card.missed)} missed, {len(card.false)} false; "
        f"{len(card.consequences)} more breaches follow from the incidents.",
        style="bold",
    )
    for finding in card.missed:
        out.print(f"  missed: {finding.incident.kind}, {finding.slo} of {finding.slice}", style="red")
    for breach in card.false:
        out.print(f"  false: {breach.slo} of {breach.slice} from {moment(breach.onset)}", style="red")
    out.print()


def _incident(incident: Incident, card: Scorecard, script: Script) -> Iterator[tuple[str, ...]]:
    """Yield a row for each SLO that must notice the incident, or one that says that none may."""
    span = script.span(incident)
    opening = (str(incident.kind), moment(span.start), spoken(span.length))
    if not incident.must:
        yield (*opening, "nothing", "quiet, as it should be" if not card.false else "see below", "-", "-")
    for wanted in incident.must:
        mine = [f for f in card.findings if f.incident == incident and f.slo == wanted.slo]
        where = mine[0].slice if len(mine) == 1 else f"{len(mine)} slices"
        outcome, delay, recovery = _outcome(card, incident, wanted.slo)
        yield (*opening, f"{wanted.slo} of {where}", f"{outcome} found", delay, recovery)


def _tell_modes(out: Console, report: ModesReport | None, script: Script) -> None:
    """Print what each mode made of the incidents that both can see."""
    if report is None:
        return
    header = ("incident", "SLO", "by threshold", "delay", "recovery", "by evidence", "delay", "recovery")
    rows = [
        (str(incident.kind), wanted.slo, *_outcome(report.threshold, incident, wanted.slo), *other)
        for incident in script.incidents
        for wanted in incident.must
        if wanted.slo in report.slos and (other := _outcome(report.evidence, incident, wanted.slo))
    ]
    out.print(table("Both modes on the same incidents", header, rows, wraps=narrow_wraps(out, header)))
    for name, card in (("threshold", report.threshold), ("evidence", report.evidence)):
        out.print(
            f"{name}: {len(card.found)} found, {len(card.missed)} missed, {len(card.false)} false; "
            f"{len(card.consequences)} more breaches follow from the incidents."
        )
    out.print(
        f"Evidence waits {spoken(report.maturity)} for labels, which is part of its delay and recovery; "
        "write `slos: {mode: evidence}` to have it.\n",
        style="dim",
    )


def _outcome(card: Scorecard, incident: Incident, slo: str) -> tuple[str, str, str]:
    """Return how many of the slices were found, the longest delay and the longest recovery."""
    mine = [finding for finding in card.findings if finding.incident == incident and finding.slo == slo]
    found = [finding for finding in mine if finding.is_found]
    delays = [finding.delay for finding in found if finding.delay is not None]
    ends = [finding.recovery for finding in found if finding.recovery is not None]
    recovery = spoken(max(timedelta(0), *ends)) if ends else "goes on" if found else "-"
    return f"{len(found)} of {len(mine)}", spoken(max(delays)) if delays else "-", recovery


def _tell_availability(out: Console, project: Project, limit: int = 12) -> None:
    days = max(project.settings.availability.periods) // timedelta(days=1)
    with project.store.read() as session:
        rows = availability.latest(session, period_days=days)
    rows = tuple(sorted(rows, key=lambda row: (row.budget.left, row.slo, row.slice)))
    header = ("SLO", "slice", "target", "promise", "availability", "coverage", "budget left", "MTTR")
    title = f"Availability over {days} days, least budget first ({len(rows)} rows)"
    out.print(table(title, header, map(_row, rows[:limit]), wraps=narrow_wraps(out, header)))


def _row(row: AvailabilityRow) -> tuple[str, ...]:
    tally, budget = row.tally, row.budget
    bounds = percent(tally.low) if tally.low == tally.high else f"{percent(tally.low)} to {percent(tally.high)}"
    left = f"{budget.left} of {budget.allowed} windows"
    promise = str(tally.promise(row.target))
    shares = (percent(row.target), promise, bounds, percent(tally.coverage))
    return (row.slo, row.slice, *shares, left, mean_time(row.reliability.mttr))


def _tell_health(out: Console, project: Project) -> None:
    with project.store.read() as session:
        overall = next(row.health for row in health.latest(session) if row.kind is health.Scope.OVERALL)
    score = "unknown" if overall.score is None else f"{overall.score} of 100"
    out.print(f"Health: {overall.word}, {score}. {overall.reason}\n")


def _tell_trends(out: Console, project: Project) -> None:
    lines = sentences(read_trends(project), MOST_HEADING)
    if lines:
        out.print(table("Where the calibration of slices is heading", ("outlook",), [(line,) for line in lines]))
        out.print()


def _command(settings_file: Path, words: str) -> str:
    """Return the command as it is written from here; in a folder with `.calslo` it finds the settings by itself."""
    is_found = settings_file == Path(".calslo/calslo.yaml")
    return f"calslo {words}" if is_found else f"calslo {words} --config {shlex.quote(str(settings_file))}"


def _tell_places(out: Console, project: Project, settings_file: Path) -> None:
    settings = project.settings
    places = [
        ("settings", str(settings_file)),
        ("serving log", str(settings.demo_folder)),
        ("snapshots", str(project.partials)),
        ("state store", project.store.name),
        ("Dagster instance", os.environ.get("DAGSTER_HOME") or str(settings.home / "dagster")),
        ("open the UI", f"calslo demo --home {shlex.quote(str(settings_file.parent))} --serve"),
    ]
    out.print(table("Where everything lies", ("what", "where"), places))
