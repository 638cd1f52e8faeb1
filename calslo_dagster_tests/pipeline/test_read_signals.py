"""What counts as wrong at an instant: whose breach it is, how bad it is, and of how many slices it is one."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Kind, Severity
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_signals import Scene, read_signals
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.model import Measurement
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import incidents, troubles
from calslo_dagster.store.session import Lock
from calslo_dagster.store.troubles import Trouble
from calslo_dagster_tests.logs import HOUR, MINUTE, SETTINGS, START, aggregate, events, measure, write
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.courses import course, hours, store

TWO_MODELS = SETTINGS.replace("sources:\n", "sources:\n  - {name: other, model: ranker, paths: [other/]}\n").replace(
    "slos:\n", "slices: {columns: [intent]}\nslos:\n"
)


def put(project: Project, *rows: Measurement) -> None:
    store(project, rows, START, max(row.window_end for row in rows))
    track_breaches(project)


def scene(project: Project, now: datetime, *, live: bool = True) -> Scene:
    with project.store.read() as session:
        return read_signals(session, project, now, live=live)


def test_of_the_past_nothing_but_breaches_is_wrong(project: Project) -> None:
    put(project, *course("mb"))
    with project.store.write(Lock.ALERTS) as session:
        troubles.put(session, Trouble("evaluation", Severity.EMERGENCY, START, "stands still"))

    past, present = (scene(project, START + 2 * HOUR, live=live) for live in (False, True))

    assert [one.subject.kind for one in past.signals] == [Kind.BREACH]
    assert [one.subject.kind for one in present.signals] == [Kind.BREACH, Kind.PIPELINE]


def test_our_own_trouble_after_a_standstill_begins_when_it_is_seen(project: Project) -> None:
    """Otherwise the steps of its escalation would all have been due by then."""
    hours(project, "m")
    advance_alerts(project, now=START + HOUR)
    put(project, *course("mbbbmm"))
    with project.store.write(Lock.ALERTS) as session:
        troubles.put(session, Trouble("job:minute_job", Severity.CRITICAL, START + HOUR, "disk full"))

    advance_alerts(project, now=START + DAY)

    with project.store.read() as session:
        opened = {one.labels["kind"]: one.opened_at for one in incidents.recent(session)}
    assert opened == {Kind.BREACH: START + 2 * HOUR, Kind.PIPELINE: START + DAY}


def test_a_breach_whose_last_window_is_well_tells_of_its_worst_with_the_events_of_that(project: Project) -> None:
    put(project, *course("b", events=812, low=0.4, high=0.6), *course("mm", START + HOUR, events=7)[:1])

    [signal] = scene(project, START + 2 * HOUR).signals

    finding = signal.finding
    assert (finding.value, finding.low, finding.high, finding.events) == (0.5, 0.4, 0.6, 812)
    assert (finding.window_start, finding.window_end) == (START, START + HOUR)
    assert finding.harm == pytest.approx(0.25 * 812)


def test_the_slices_of_a_breach_are_counted_by_model_and_without_all_traffic(project: Project) -> None:
    rows = [
        *course("mb"),
        *course("mb", slice="intent=a", model="x"),
        *course("mm", slice="intent=b", model="x"),
        *course("mu", slice="intent=c", model="x"),
        *course("bu", slice="intent=d", model="x"),
        *course("mm", slice="intent=e", model="y"),
    ]
    put(project, *rows)

    found = scene(project, START + 2 * HOUR)

    # What is breached and cannot be judged just now is one of them, what never was breached is not.
    assert found.judged == {("score_range", "x"): 3, ("score_range", "y"): 1}


def test_a_slice_with_nothing_but_bad_scores_is_of_the_model_that_it_was_of(
    tmp_path: Path, open_at: OpenProject
) -> None:
    project = open_at(tmp_path, TWO_MODELS)
    known = course("m" * 24, slice="intent=buy", model="ranker")
    lost = course("bb", START + DAY, slice="intent=buy", model="*")
    new = course("bb", START + DAY, slice="intent=new", model="*")
    put(project, *known, *lost, *new, *course("bb", START + DAY, model="*"))

    found = {one.subject.slice: one.subject.model for one in scene(project, START + DAY + 2 * HOUR).signals}

    assert found == {"intent=buy": "ranker", "intent=new": "*", "*": "*"}


def test_bad_scores_are_counted_over_all_rows_of_the_slice(project: Project, tmp_path: Path) -> None:
    times = [START + n * MINUTE for n in range(20)]
    write(tmp_path / "log/a.parquet", events(times, score=[0.5] * 5 + [None] * 15))
    now = START + HOUR + timedelta(minutes=30)
    aggregate(project, [START.date()], now)
    measure(project, "score_range", [START.date()], now)
    track_breaches(project)

    found = [(one.subject.name, one.finding.value, one.finding.events) for one in scene(project, now).signals]
    assert found == 2 * [("score_range", 0.75, 20)]
