"""Retention drops old rows, and files that nothing names any more; everything else stays."""

import os
from datetime import datetime, timedelta
from pathlib import Path

from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.prune_history import prune_history
from calslo_dagster.pipeline.report_drift import report_drift
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.windows import DAY, WEEK
from calslo_dagster.store import deliveries, incidents, measurements
from calslo_dagster_tests.logs import HOUR, START, aggregate, evaluate, events, facts, of_day, write
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.courses import SLO, hours

RETENTION = """\
label_horizon: 10d
retention: {measurements: 30d, messages: 10d, panes: 20d, hours: 40d}
availability: {periods: [7d]}
"""


def age(path: Path, at: datetime) -> None:
    os.utime(path, (at.timestamp(), at.timestamp()))


def test_measurements_past_their_time_go(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=RETENTION)
    hours(project, "mmmm")
    hours(project, "mmmm", START + 20 * DAY)

    counts = prune_history(project, now=START + 30 * DAY + 2 * HOUR)

    # The window that ends at the limit itself stays.
    assert (counts["measurements_deleted"], counts["evaluations_deleted"]) == (1, 1)
    with project.store.read() as session:
        left = measurements.between(session, SLO, start=START, end=START + 30 * DAY)
    assert left[0].window_end == START + 2 * HOUR


def test_availability_and_health_past_their_time_go(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=RETENTION)
    write(tmp_path / "log/a.parquet", events([START]))
    evaluate(project, [START.date()], START + DAY)

    counts = prune_history(project, now=START + 60 * DAY)

    assert counts["availability_deleted"] > 0
    assert counts["health_deleted"] > 0
    again = prune_history(project, now=START + 60 * DAY)
    assert set(again.values()) == {0}


def test_drift_past_its_time_goes(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=RETENTION)
    monday = START - START.weekday() * DAY
    write(tmp_path / "log/a.parquet", events([monday - DAY, monday + DAY], label=1))
    for day in (monday - DAY, monday + DAY):
        aggregate(project, [day.date()])
    stored = report_drift(project, [monday]).stored

    kept = prune_history(project, now=monday + WEEK + 30 * DAY)["drift_deleted"]
    gone = prune_history(project, now=monday + WEEK + 30 * DAY + HOUR)["drift_deleted"]

    assert kept == 0
    assert gone > stored > 0


def test_messages_of_what_is_over_go_and_those_of_what_goes_on_stay(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra=RETENTION)
    for letters, at in (("mb", START), ("mbmm", START + HOUR)):
        hours(project, letters)
        track_breaches(project)
        advance_alerts(project, now=at + DAY)
        deliver_outbox(project, clock=lambda at=at: at + DAY)  # type: ignore[misc]
        before = prune_history(project, now=START + 8 * DAY)["messages_deleted"]

    assert before == 0
    assert prune_history(project, now=START + 20 * DAY)["messages_deleted"] == 2
    with project.store.read() as session:
        [incident] = incidents.recent(session)
        assert deliveries.of_incident(session, incident.id) == ()


def test_files_of_replaced_partials_go_after_a_day(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))
    aggregate(project, [START.date()])
    (old,) = of_day(project, START.date())
    write(tmp_path / "log/b.parquet", events([START + HOUR]))
    aggregate(project, [START.date()])
    before, now = facts(project), datetime.now(START.tzinfo)

    assert prune_history(project, now=now)["partials_deleted"] == 0
    assert (project.partials / old.path).exists()
    assert prune_history(project, now=now + timedelta(days=2))["partials_deleted"] == 1
    assert not (project.partials / old.path).exists()
    assert facts(project) == before


def test_folders_that_a_crash_left_behind_go_too(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))
    aggregate(project, [START.date()])
    left = project.partials / ".writing" / "dead"
    left.mkdir(parents=True)
    (left / "totals.parquet").write_bytes(b"half a file")
    age(left, START)

    assert prune_history(project, now=START + 2 * DAY)["partials_deleted"] == 1
    assert not left.exists()


def test_a_project_without_anything_is_pruned_of_nothing(project: Project) -> None:
    assert set(prune_history(project, now=START).values()) == {0}
