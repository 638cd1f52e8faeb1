"""The checks on the snapshots of a run: each passes on a healthy log and fails for one reason."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.pipeline.inspect_snapshots import Finding, inspect_snapshots
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import DAY
from calslo_dagster_tests.logs import HOUR, MINUTE, START, aggregate, days_from, events, labels, minutes, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

TODAY = START.date()
NOW = START + 12 * HOUR
MORNING = START + DAY + 3 * HOUR
NAMES = ["schema", "score_range", "freshness", "volume", "label_lag", "coverage"]


def found(project: Project, now: datetime = NOW, days: int = 1) -> dict[str, Finding]:
    report = aggregate(project, days_from(START, days), now)
    return {finding.name: finding for finding in inspect_snapshots(project, report)}


def log_until(tmp_path: Path, end: datetime, start: datetime = START, **columns: float) -> Path:
    times = list(minutes(start, end, 10 * MINUTE))
    return write(tmp_path / f"log/{start:%d}.parquet", events(times, **columns))


def failed(checks: dict[str, Finding]) -> list[str]:
    return [name for name, finding in checks.items() if not finding.passed]


def test_a_healthy_log_passes_every_check(project: Project, tmp_path: Path) -> None:
    log_until(tmp_path, NOW)

    checks = found(project)

    assert list(checks) == NAMES
    assert failed(checks) == []
    assert not any(finding.is_severe for finding in checks.values())


def test_an_empty_log_is_not_fresh_and_covers_nothing(project: Project) -> None:
    checks = found(project)

    assert failed(checks) == ["freshness", "coverage"]
    assert checks["freshness"].says == "no event has ever been seen"


def test_an_unreadable_file_is_named(project: Project, tmp_path: Path) -> None:
    log_until(tmp_path, NOW)
    (tmp_path / "log/broken.parquet").write_bytes(b"no Parquet at all")

    schema = found(project)["schema"]

    assert not schema.passed
    assert not schema.is_severe
    assert "broken.parquet" in schema.says
    assert schema.numbers == {"units": 2, "unreadable": 1}


def test_a_log_of_nothing_but_unreadable_files_is_severe(project: Project, tmp_path: Path) -> None:
    (tmp_path / "log/broken.parquet").write_bytes(b"no Parquet at all")

    assert found(project)["schema"].is_severe


def test_bad_scores_are_counted_by_reason(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START] * 4, score=[2.0, 3.0, None, 0.5]))

    check = found(project)["score_range"]

    assert (check.passed, check.says) == (False, "1 null, 2 above")
    assert check.numbers == {"bad_scores": 3, "rows": 4}


def test_a_log_that_stands_still_is_not_fresh(project: Project, tmp_path: Path) -> None:
    log_until(tmp_path, NOW - HOUR)

    check = found(project)["freshness"]

    assert not check.passed
    assert check.numbers["lag_seconds"] == timedelta(hours=1, minutes=20).total_seconds()


def test_a_day_that_is_over_is_not_asked_for_freshness(project: Project, tmp_path: Path) -> None:
    log_until(tmp_path, NOW)

    assert found(project, START + 3 * DAY)["freshness"].passed


@pytest.mark.parametrize(("lateness", "age", "passes"), [("10m", 19, True), ("10m", 21, False), ("1h", 69, True)])
def test_events_that_may_be_late_are_waited_for(
    tmp_path: Path, open_at: OpenProject, lateness: str, age: int, *, passes: bool
) -> None:
    project = open_at(tmp_path, extra=f"lateness: {lateness}\n")
    write(tmp_path / "log/last.parquet", events([NOW - age * MINUTE]))

    assert found(project)["freshness"].passed is passes


def test_the_first_day_has_nothing_to_be_compared_with(project: Project, tmp_path: Path) -> None:
    log_until(tmp_path, START + DAY)

    checks = found(project, MORNING)

    assert checks["volume"].says == checks["label_lag"].says == "nothing to compare with yet"


def test_finished_hours_without_events_are_named(project: Project, tmp_path: Path) -> None:
    log_until(tmp_path, START + 3 * HOUR)
    write(tmp_path / "log/later.parquet", events([START + 5 * HOUR]))

    check = found(project, START + 6 * HOUR)["coverage"]

    assert (check.passed, check.says) == (False, "no events in the hours from 03:00, 04:00")
    assert check.numbers == {"hours_due": 5, "hours_missing": 2}


def test_labels_are_no_events(project: Project, tmp_path: Path) -> None:
    log_until(tmp_path, START + HOUR)
    write(tmp_path / "labels/a.parquet", labels(["x"], at=START + 2 * HOUR, of=[START + HOUR]))

    assert not found(project, START + 3 * HOUR)["coverage"].passed


def test_hours_of_a_rotated_log_are_covered(project: Project, tmp_path: Path) -> None:
    path = log_until(tmp_path, START + 3 * HOUR)
    found(project, START + 3 * HOUR)
    path.unlink()

    assert found(project, START + 3.5 * HOUR)["coverage"].passed


def test_a_run_over_several_days_is_judged_by_the_last(project: Project, tmp_path: Path) -> None:
    log_until(tmp_path, START + DAY + 3 * HOUR, START + DAY)

    assert found(project, START + DAY + 3 * HOUR, days=2)["coverage"].passed
