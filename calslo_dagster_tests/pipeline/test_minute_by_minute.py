"""A log that is followed minute by minute over midnight ends as one that is read when all is over."""

from datetime import datetime
from pathlib import Path

import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import alerts, breaches, incidents, measurements
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    MINUTE,
    SETTINGS,
    START,
    Traffic,
    between,
    evaluate,
    facts,
    tables,
    write,
)
from calslo_dagster_tests.logs import minutes as instants
from calslo_dagster_tests.logs import traffic as simulated
from calslo_dagster_tests.pipeline.conftest import OpenProject

QUICK = SETTINGS.replace("evaluation_step: 1h", "evaluation_step: 15m").replace(
    "slos:\n", "slos:\n  disable: [clamp_activation, merged_bins, clamp_alpha, weekly_drift]\n"
)
LATENCY = QUICK.replace("disable: [", "disable: [ece_bound, score_range, ").replace("window: 1h}", "window: 15m}")
MIDNIGHT = START + DAY
FIRST = MIDNIGHT - 70 * MINUTE
DAYS = [START.date(), MIDNIGHT.date()]


@pytest.fixture(scope="module")
def log() -> Traffic:
    """Return four hours of traffic around midnight; latency is far too long in the last but one of them."""
    made = simulated(MIDNIGHT - 2 * HOUR, 4, per_hour=120)
    late = [90_000.0 if MIDNIGHT <= at < MIDNIGHT + HOUR else 100.0 for at in made.log["event_time"].to_pylist()]
    column = made.log.schema.get_field_index("latency_us")
    return Traffic(made.log.set_column(column, "latency_us", [late]), made.labels)


def deliver(folder: Path, log: Traffic, now: datetime) -> None:
    """Write what there is by now: an hour's file grows while the hour lasts, labels come a batch an hour."""
    for start in instants(MIDNIGHT - 2 * HOUR, now, HOUR):
        write(folder / f"log/{start:%d-%H}.parquet", between(log.log, start, min(start + HOUR, now)))
        if start + HOUR <= now:
            write(folder / f"labels/{start:%d-%H}.parquet", between(log.labels, start, start + HOUR, "label_time"))


def finish(project: Project, folder: Path, log: Traffic) -> tuple[str, dict[str, str]]:
    deliver(folder, log, MIDNIGHT + 2 * HOUR)
    write(folder / "labels/rest.parquet", between(log.labels, MIDNIGHT + 2 * HOUR, LATER, "label_time"))
    evaluate(project, DAYS, LATER)
    return facts(project), tables(project)


def test_following_a_log_minute_by_minute_changes_nothing(tmp_path: Path, open_at: OpenProject, log: Traffic) -> None:
    at_once, followed = open_at(tmp_path / "at once", QUICK), open_at(tmp_path / "followed", QUICK)

    for now in instants(FIRST, MIDNIGHT + 2 * HOUR, 23 * MINUTE):
        deliver(tmp_path / "followed", log, now)
        evaluate(followed, [now.date()], now)

    assert finish(followed, tmp_path / "followed", log) == finish(at_once, tmp_path / "at once", log)


def test_a_breach_is_one_alert_while_its_windows_fill_up(tmp_path: Path, open_at: OpenProject, log: Traffic) -> None:
    """It opens in a window that is not over, goes on over several, and ends when two final ones are good."""
    project = open_at(tmp_path, LATENCY)

    for now in instants(MIDNIGHT - 5 * MINUTE, MIDNIGHT + 2 * HOUR, 13 * MINUTE):
        deliver(tmp_path, log, now)
        evaluate(project, [now.date()], now)

    with project.store.read() as session:
        found = [one for one in incidents.recent(session) if one.labels["kind"] == "breach"]
        members = [a for one in found for a in alerts.of_incident(session, one.id) if a.subject.slice == "*"]
    assert [(alert.episode, alert.is_open) for alert in members] == [(1, False)]


def test_provisional_windows_are_replaced_and_final_ones_stay(
    tmp_path: Path, open_at: OpenProject, log: Traffic
) -> None:
    project = open_at(tmp_path, LATENCY)
    seen: dict[datetime, set[tuple[float | None, Verdict]]] = {}
    for now in instants(MIDNIGHT - HOUR, MIDNIGHT + HOUR, 17 * MINUTE):
        deliver(tmp_path, log, now)
        evaluate(project, [now.date()], now)
        with project.store.read() as session:
            for row in measurements.between(session, "p99_latency", start=START, end=LATER, slice_name="*"):
                if row.is_final:
                    seen.setdefault(row.window_end, set()).add((row.value, row.verdict))

    assert len(seen) > 4
    assert {len(values) for values in seen.values()} == {1}


def test_the_breach_of_the_night_is_found_either_way(tmp_path: Path, open_at: OpenProject, log: Traffic) -> None:
    project = open_at(tmp_path, QUICK)
    finish(project, tmp_path, log)

    with project.store.read() as session:
        found = breaches.between(session, start=START, end=LATER, slo="p99_latency")
    (one,) = [one for one in found if one.slice == "*"]
    assert (one.onset, one.is_provisional) == (MIDNIGHT, False)
    assert one.recovered_at is not None
    assert one.recovered_at >= MIDNIGHT + HOUR
