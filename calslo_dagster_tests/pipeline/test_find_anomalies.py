"""Hours unlike their season are found on their day, and again when the day is looked at again."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.pipeline.find_anomalies import find_anomalies
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import anomalies, schema
from calslo_dagster.store.anomalies import AnomalyKind
from calslo_dagster.store.digest import table_digest
from calslo_dagster_tests.logs import HOUR, LATER, START, aggregate, days_from, events, minutes, write

DAYS = 9
NOON = START + 8 * DAY + 12 * HOUR
LAST = NOON.date()


@pytest.fixture
def project(project: Project, tmp_path: Path) -> Project:
    """Return a project whose log is silent at noon of the ninth day, then slow and clamped for an hour."""

    def is_hit(at: datetime) -> bool:
        return NOON + 2 * HOUR <= at < NOON + 3 * HOUR

    times = [at for at in minutes(START, START + DAYS * DAY, timedelta(minutes=2)) if not NOON <= at < NOON + HOUR]
    columns = {
        "latency_us": [900.0 if is_hit(at) else 100.0 + i % 40 for i, at in enumerate(times)],
        "clamped": [is_hit(at) or i % 50 == 0 for i, at in enumerate(times)],
        "score": [0.01 * (i % 97) for i in range(len(times))],
        # An hour of the fifth day never gets labels.
        "label": [None if START + 4 * DAY <= at < START + 4 * DAY + HOUR else i % 2 for i, at in enumerate(times)],
    }
    write(tmp_path / "log/a.parquet", events(times, intent="buy", language="en", **columns))
    aggregate(project, days_from(START, DAYS))
    return project


def test_each_kind_is_found_on_its_day(project: Project) -> None:
    report = find_anomalies(project, days_from(START, DAYS), now=LATER)

    found = {(one.kind, one.slice): one for one in report.found}
    assert {name for _, name in found} == {"*", "intent=buy,language=en"}
    spans = {kind: (one.starts_at, one.ends_at, one.day) for (kind, name), one in found.items() if name == "*"}
    assert spans == {
        AnomalyKind.VOLUME: (NOON, NOON + HOUR, LAST),
        AnomalyKind.LATENCY: (NOON + 2 * HOUR, NOON + 3 * HOUR, LAST),
        AnomalyKind.CLAMPING: (NOON + 2 * HOUR, NOON + 3 * HOUR, LAST),
        AnomalyKind.LABELS: (START + 4 * DAY, START + 4 * DAY + HOUR, (START + 4 * DAY).date()),
    }
    hole = found[AnomalyKind.VOLUME, "*"]
    assert (hole.value, hole.expected, hole.reason) == (0.0, 30.0, "0 rows an hour, 30 usually")
    assert hole.score < -report.limit < 0 < hole.low
    assert report.series == 10


def test_an_hour_that_is_not_over_is_not_judged(project: Project) -> None:
    assert find_anomalies(project, [LAST], now=NOON + HOUR).found == ()
    assert {one.kind for one in find_anomalies(project, [LAST], now=NOON + 2 * HOUR).found} == {AnomalyKind.VOLUME}


def test_looking_again_finds_the_same(project: Project) -> None:
    digests = []
    for days in (days_from(START, DAYS), [LAST], days_from(START, DAYS)[::-1]):
        find_anomalies(project, days, now=LATER)
        with project.store.read() as session:
            digests.append(table_digest(session, schema.anomalies))

    assert digests[0] == digests[1] == digests[2]


def test_without_snapshots_nothing_is_unusual(project: Project) -> None:
    report = find_anomalies(project, days_from(START - 100 * DAY, 1), now=LATER)

    assert (report.found, report.series) == ((), 0)
    with project.store.read() as session:
        assert anomalies.between(session, start=START - 200 * DAY, end=LATER) == ()
