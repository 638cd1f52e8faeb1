"""Windows are measured when what they rest on changes, and not otherwise."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.errors import SettingsError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.take_measurements import Request, measure_days
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster.store import exclusions, measurements
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    MINUTE,
    SETTINGS,
    START,
    aggregate,
    days_from,
    events,
    labels,
    measure,
    minutes,
    slo_section,
    tables,
    traffic,
    write,
)
from calslo_dagster_tests.pipeline.conftest import OpenProject

TODAY = START.date()
QUARTER = timedelta(minutes=15)
SLO = "score_range"


def rows(project: Project, slo: str = SLO, slice_name: str | None = "*") -> dict[datetime, Measurement]:
    with project.store.read() as session:
        found = measurements.between(session, slo, start=START - 9 * DAY, end=LATER, slice_name=slice_name)
    return {row.window_end: row for row in found}


def minute_by_minute(start: datetime, end: datetime, path: Path, step: timedelta = MINUTE) -> None:
    write(path, events([at + timedelta(seconds=30) for at in minutes(start, end, step)]))


def run(project: Project, now: datetime, slo: str = SLO) -> int:
    aggregate(project, [now.date()], now)
    return measure(project, slo, [now.date()], now).windows


@pytest.fixture
def quarters(tmp_path: Path, open_at: OpenProject) -> Project:
    """Return a project that is measured four times an hour."""
    return open_at(tmp_path, SETTINGS.replace("evaluation_step: 1h", "evaluation_step: 15m"))


def test_no_window_after_the_open_one_is_measured(quarters: Project, tmp_path: Path) -> None:
    now = START + 2 * HOUR + 20 * MINUTE
    minute_by_minute(START, now, tmp_path / "log/a.parquet")
    run(quarters, now)

    assert max(rows(quarters)) == START + 2.5 * HOUR


def test_windows_are_final_up_to_the_watermark(quarters: Project, tmp_path: Path) -> None:
    now = START + 2 * HOUR + 20 * MINUTE
    minute_by_minute(START, now, tmp_path / "log/a.parquet")
    run(quarters, now)

    found = rows(quarters)
    final = {end for end, row in found.items() if row.is_final}
    assert max(final) == START + 2 * HOUR
    assert {found[end].watermark for end in final} == final
    assert found[START + 2.5 * HOUR].watermark == now - MINUTE + timedelta(seconds=30) - timedelta(minutes=10)


def test_the_open_window_is_measured_again_as_it_fills(quarters: Project, tmp_path: Path) -> None:
    seen = []
    for n in (1, 5, 9):
        now = START + 2 * HOUR + n * MINUTE
        minute_by_minute(START, now, tmp_path / "log/a.parquet")
        run(quarters, now)
        seen.append(rows(quarters)[START + 2 * HOUR + QUARTER].events)

    assert seen == [45 + 1, 45 + 5, 45 + 9]


def test_a_recomputed_day_is_measured_whole(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))
    aggregate(project, [TODAY])
    measure(project, SLO, [TODAY])

    assert measure(project, SLO, [TODAY], recompute=True).windows == 24


def test_measuring_window_by_window_says_the_same_as_all_at_once(project: Project, tmp_path: Path) -> None:
    """A minute measures few windows, each read by itself; a backfill runs along the panes of each slice."""
    write(tmp_path / "log/a.parquet", traffic(hours=8, per_hour=15).log)
    aggregate(project, [TODAY], START + DAY)
    slos = [slo.name for slo in project.registry if slo.cadence == "minute"]
    for end in minutes(START, START + 9 * HOUR, HOUR):
        for slo in slos:
            measure(project, slo, [TODAY], end)
    one_by_one = rows(project, slice_name=None)
    for slo in slos:
        measure(project, slo, [TODAY], START + 8.5 * HOUR, recompute=True)

    assert rows(project, slice_name=None) == one_by_one
    assert len(one_by_one) == 9


def test_an_hour_without_data_is_unknown_for_slices_that_had_some_lately(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START + HOUR], intent="buy", language="en", latency_us=10.0))
    aggregate(project, [TODAY])
    measure(project, "p99_latency", [TODAY])

    found = rows(project, "p99_latency", "intent=buy,language=en")
    assert found[START + 3 * HOUR].verdict is Verdict.UNKNOWN
    assert found[START + 3 * HOUR].events == 0
    assert found[START + 3 * HOUR].value is None


def test_a_slice_without_a_row_for_a_day_is_no_longer_measured(project: Project, tmp_path: Path) -> None:
    name = "intent=buy,language=en"
    write(tmp_path / "log/a.parquet", events([START + 90 * MINUTE], intent="buy", language="en"))
    write(tmp_path / "log/b.parquet", events(list(minutes(START, START + 2 * DAY, HOUR))))
    days = days_from(START, 2)
    aggregate(project, days)
    measure(project, "p99_latency", days)

    seen = rows(project, "p99_latency", name)
    assert (min(seen), max(seen)) == (START + 2 * HOUR, START + DAY + HOUR)
    assert max(rows(project, "p99_latency")) == START + 2 * DAY


def test_a_slice_is_awake_with_nothing_but_rejected_rows(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START + 30 * MINUTE], score=7.0, intent="buy", language="en"))
    aggregate(project, [TODAY])
    measure(project, SLO, [TODAY])

    assert rows(project, SLO, "intent=buy,language=en")[START + HOUR].verdict is Verdict.BREACHED


def test_a_window_longer_than_a_day_sees_what_came_late_for_days_before(tmp_path: Path, open_at: OpenProject) -> None:
    text = slo_section("define: [{name: volume, metric: n, operator: '>=', fail: 1, window: 3d}]")
    project, days = open_at(tmp_path, text), days_from(START, 5)
    write(tmp_path / "log/a.parquet", events([START + HOUR]))

    # Newest first, as a backfill may run: the days before must be there when the last one is measured.
    for day in (days[2], days[1], days[0]):
        aggregate(project, [day], recompute=True)
        measure(project, "volume", [day], recompute=True)

    assert rows(project, "volume")[START + 3 * DAY].value == 1


def test_an_slo_is_measured_for_its_slices_only(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, SETTINGS.replace("score_range: {", "score_range: {slices: 'intent=buy*', "))
    write(tmp_path / "log/a.parquet", traffic(hours=2).log)
    aggregate(project, [TODAY], START + 2 * HOUR)
    for now in (START + HOUR, START + 5 * HOUR):
        measure(project, SLO, [TODAY], now)

    with project.store.read() as session:
        names = {row.slice for row in measurements.between(session, SLO, start=START, end=LATER)}
    assert names == {"intent=buy,language=en", "intent=buy,language=de", "intent=buy,language=%null"}


def test_an_slo_that_looks_at_parts_of_its_window_gets_them(tmp_path: Path, open_at: OpenProject) -> None:
    """The least busy quarter of an hour decides, however busy the hour is."""
    quiet = "{name: quiet, metric: n, operator: '>=', fail: 2, aggregation: min, pane: 15m, window: 1h}"
    project = open_at(tmp_path, slo_section(f"define: [{quiet}]"))
    times = [START + n * QUARTER for n in range(4) for _ in range(1 if n == 2 else 5)]
    write(tmp_path / "log/a.parquet", events(times))
    aggregate(project, [TODAY])
    values = []
    for now in (START + 30 * MINUTE, LATER):
        measure(project, "quiet", [TODAY], now, recompute=True)
        values.append(rows(project, "quiet")[START + HOUR].value)

    assert values == [1, 1]


def test_windows_that_share_time_with_an_exclusion_are_excluded(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events(list(minutes(START, START + 6 * HOUR, 10 * MINUTE)), latency_us=9e9))
    aggregate(project, [TODAY])
    span = Window(START + 2 * HOUR, START + 150 * MINUTE)
    with project.store.write() as session:
        exclusions.add(session, Exclusion(span, "upgrade", "Ada", slos="p99*"), created_at=LATER)

    measure(project, "p99_latency", [TODAY])
    measure(project, SLO, [TODAY])

    excluded = {end for end, row in rows(project, "p99_latency").items() if row.verdict is Verdict.EXCLUDED}
    assert excluded == {START + 3 * HOUR}
    assert "upgrade" in rows(project, "p99_latency")[START + 3 * HOUR].reason
    assert Verdict.EXCLUDED not in {row.verdict for row in rows(project).values()}


def test_an_exclusion_that_is_agreed_later_changes_the_windows_it_covers(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events(list(minutes(START, START + 6 * HOUR, HOUR))))
    aggregate(project, [TODAY])
    measure(project, "p99_latency", [TODAY])
    with project.store.write() as session:
        number = exclusions.add(session, Exclusion(Window(START, START + 2 * HOUR), "upgrade"), created_at=LATER)

    assert measure(project, "p99_latency", [TODAY]).windows == 2
    with project.store.write() as session:
        exclusions.remove(session, number)
    assert measure(project, "p99_latency", [TODAY]).windows == 2
    assert rows(project, "p99_latency")[START + HOUR].verdict is Verdict.UNKNOWN


def test_exclusions_of_the_settings_count(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(
        tmp_path,
        extra="exclusions: [{from: 2026-03-07T00:00:00Z, to: 2026-03-07T01:00:00Z, reason: drill, author: Ada}]\n",
    )
    write(tmp_path / "log/a.parquet", events([START]))
    aggregate(project, [TODAY])
    measure(project, "p99_latency", [TODAY])

    assert rows(project, "p99_latency")[START + HOUR].verdict is Verdict.EXCLUDED


def test_the_model_is_that_of_the_settings(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))
    aggregate(project, [TODAY])
    measure(project, SLO, [TODAY])

    assert {row.model for row in rows(project).values()} == {"intent"}


def test_the_model_is_that_of_the_manifests_of_the_versions_seen(tmp_path: Path, open_at: OpenProject) -> None:
    (tmp_path / "manifests.json").write_text(
        '{"manifests": [{"version": "v1", "model": "alpha"}, {"version": "v2", "model": "beta"}]}'
    )
    project = open_at(tmp_path, extra="manifests: [manifests.json]\n")
    times = [START + 10 * MINUTE, START + 30 * HOUR, START + 32 * HOUR]
    write(tmp_path / "log/a.parquet", events(times, calibrator_version=["v1", "v1", "v2"]))
    days = days_from(START, 2)
    aggregate(project, days)
    measure(project, "clamp_activation", days)

    found = rows(project, "clamp_activation")
    assert found[START + HOUR].model == "alpha"
    assert found[START + 33 * HOUR].model == "beta"
    measure(project, "ece_bound", days)
    assert rows(project, "ece_bound")[START + 33 * HOUR].model == "*"


def test_a_new_manifest_changes_what_is_measured(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra="manifests: [manifests.json]\n")
    file = tmp_path / "manifests.json"
    made = traffic(hours=6, per_hour=100)
    write(tmp_path / "log/a.parquet", made.log)
    write(tmp_path / "labels/a.parquet", made.labels)
    limits = []
    for c_hat in (0.5, 0.9):
        file.write_text(f'{{"manifests": [{{"version": "v1", "model": "intent", "c_hat": {c_hat}}}]}}')
        aggregate(project, [TODAY])
        measure(project, "ece_bound", [TODAY])
        limits.append(rows(project, "ece_bound")[START + 6 * HOUR].threshold)

    assert limits[1] == pytest.approx(1.8 * limits[0])  # type: ignore[operator] # a limit of ECE is one number


def test_rows_say_what_they_rest_on(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))
    aggregate(project, [TODAY])
    measure_days(project, Request(SLO, LATER, "run-7"), [TODAY])

    (row,) = {row.run_id: row for row in rows(project).values()}.values()
    assert (row.run_id, row.code_version) == ("run-7", project.code_version)
    assert row.definition_hash == project.registry.hash_of(SLO)


def test_the_report_tells_windows_verdicts_and_the_last_window(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START, START + 90 * MINUTE], score=[0.5, 2.0]))
    aggregate(project, [TODAY])

    report = measure(project, SLO, [TODAY], START + 2 * HOUR + MINUTE, recompute=True)

    assert (report.windows, report.rows) == (3, 6)
    assert report.verdicts[Verdict.BREACHED] == 2
    assert {row.window_end for row in report.latest} == {START + 3 * HOUR}
    assert report.history == (0.0, 1.0)


def test_an_unknown_slo_is_named_with_the_nearest(project: Project) -> None:
    with pytest.raises(SettingsError, match="score_range"):
        measure(project, "score_rang", [TODAY])


def test_measuring_twice_leaves_the_same_tables(project: Project, tmp_path: Path) -> None:
    made = traffic(hours=12)
    write(tmp_path / "log/a.parquet", made.log)
    write(tmp_path / "labels/a.parquet", made.labels)
    aggregate(project, [TODAY])
    found = []
    for _ in range(2):
        measure(project, "ece_bound", [TODAY], recompute=True)
        found.append(tables(project))

    assert found[0] == found[1]


def test_late_labels_change_the_windows_that_hold_their_events(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START + 10 * HOUR], prediction_id="p"))
    aggregate(project, [TODAY])
    measure(project, "ece_bound", [TODAY])
    write(tmp_path / "labels/a.parquet", labels(["p"], at=LATER, of=[START + 10 * HOUR]))
    aggregate(project, [TODAY])

    measure(project, "ece_bound", [TODAY])

    assert rows(project, "ece_bound")[START + 11 * HOUR].labeled == 1
