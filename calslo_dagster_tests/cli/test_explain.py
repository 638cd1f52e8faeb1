"""`calslo explain` prints the causes of a breach, for people and for programs."""

import json
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.store import breaches
from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    SETTINGS,
    START,
    aggregate,
    days_from,
    events,
    measure,
    minutes,
    project_at,
    write,
)


@pytest.fixture
def breach_id(tmp_path: Path) -> str:
    """Return the id of a breach: on the third day scores lie above 1 for an hour."""
    times = list(minutes(START, START + timedelta(days=3), timedelta(minutes=4)))
    trouble = START + timedelta(days=2, hours=5)
    scores = [1.5 if trouble <= at < trouble + HOUR else 0.5 for at in times]
    write(tmp_path / "log/a.parquet", events(times, intent="buy", score=scores))
    project = project_at(tmp_path, SETTINGS)
    with project.store:
        aggregate(project, days_from(START, 3))
        measure(project, "score_range", days_from(START, 3))
        track_breaches(project)
        with project.store.read() as session:
            return next(one.id for one in breaches.between(session, start=START, end=LATER) if one.slice == "*")


def test_a_person_reads_the_causes_with_their_evidence(breach_id: str) -> None:
    done = run("explain", "score_range", "*")

    assert done.exit_code == 0, done.output
    lines = done.stdout.splitlines()
    assert lines[0] == (f"score_range of *, from 2026-03-09 05:00 UTC to 2026-03-09 06:00 (breach {breach_id})")
    assert lines[3].endswith("100 % of the scores are no probabilities (15 above), 0 % usually.")
    assert any(line.startswith("   First: ") for line in lines)


def test_a_program_reads_the_same(breach_id: str) -> None:
    done = run("explain", breach_id[:10], "--format", "json")

    found = json.loads(done.stdout)
    assert (found["breach"], found["slo"], found["slice"]) == (breach_id, "score_range", "*")
    assert list(found["causes"][0]) == ["kind", "score", "evidence", "advice"]
    assert found["causes"][0]["kind"] == "bad_scores"


def test_a_name_that_is_none_is_refused(breach_id: str) -> None:
    done = run("explain", "ece_bund")

    assert done.exit_code == 2
    assert "'ece_bund' is no SLO and no breach has such an id; `calslo slos` lists the names" in done.stderr
