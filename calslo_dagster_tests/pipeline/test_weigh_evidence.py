"""Evidence adds up to the same however it comes: in one go, bit by bit, after restarts, backwards, with late labels."""

from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from calslo_dagster.pipeline.context import context_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.weigh_evidence import evidence_over
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.trials import Mode
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster.store import detector_states, exclusions, measurements, schema
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    SETTINGS,
    START,
    Traffic,
    aggregate,
    between,
    days_from,
    measure,
    minutes,
    project_at,
    tables,
    traffic,
    write,
)
from calslo_dagster_tests.pipeline.conftest import OpenProject

# Labels come within thirty hours, so that panes are complete after thirty.
EVIDENCE = SETTINGS.replace("evaluation_step: 1h", "evaluation_step: 3h").replace(
    "slos:\n",
    "label_maturity: 30h\nevidence: {false_breaches: 0.5, false_warnings: 0.5}\n"
    "slos:\n  mode: evidence\n  disable: [score_range, merged_bins, clamp_alpha, weekly_drift]\n"
    '  define:\n    - {name: error, metric: brier, operator: "<=", fail: 0.2, window: 24h, min_events: 20}\n',
)
LOG = traffic(hours=60, per_hour=45)
DAYS = days_from(START, 5)
SLOS = ("ece_bound", "clamp_activation", "p99_latency", "error")
STEP = 17 * HOUR

State = tuple[dict[str, str], dict[str, tuple[bytes, Mapping[str, bytes]]]]
Play = Callable[[Path, OpenProject], Project]


def states(project: Project) -> dict[str, tuple[bytes, Mapping[str, bytes]]]:
    """Return the evidence of each SLO at the end of each day."""
    with project.store.read() as session:
        ends = [(slo, end) for slo in SLOS for end in detector_states.ends(session, slo) if end.hour == 0]
        found = {f"{slo} {end}": detector_states.last(session, slo, until=end) for slo, end in ends}
    return {name: (one.fleet, one.slices) for name, one in found.items() if one}


def rows(project: Project, slo: str, slice_name: str) -> list[Measurement]:
    with project.store.read() as session:
        return list(measurements.between(session, slo, start=START, end=LATER, slice_name=slice_name))


def concluded(project: Project) -> State:
    return tables(project), states(project)


def follow(project: Project, days: Sequence[date], now: datetime = LATER, *, recompute: bool = False) -> None:
    aggregate(project, days, now, recompute=recompute)
    for slo in SLOS:
        measure(project, slo, days, now, recompute=recompute)


def put(folder: Path, log: Traffic) -> None:
    write(folder / "log/all.parquet", log.log)
    write(folder / "labels/all.parquet", log.labels)


def in_one_go(folder: Path, open_at: OpenProject) -> Project:
    project = open_at(folder, EVIDENCE)
    put(folder, LOG)
    follow(project, DAYS, recompute=True)
    return project


def bit_by_bit(folder: Path, open_at: OpenProject) -> Project:
    """Follow the log as it is written, in a process of its own each time."""
    for now in minutes(START + STEP, START + 5 * DAY, STEP):
        project = open_at(folder, EVIDENCE)
        write(folder / f"log/{now:%d-%H}.parquet", between(LOG.log, now - STEP, now))
        write(folder / f"labels/{now:%d-%H}.parquet", between(LOG.labels, now - STEP, now, "label_time"))
        follow(project, [now.date()], now)
    project = open_at(folder, EVIDENCE)
    follow(project, DAYS)
    return project


def backwards(folder: Path, open_at: OpenProject) -> Project:
    project = open_at(folder, EVIDENCE)
    put(folder, LOG)
    for day in reversed(DAYS):
        follow(project, [day], recompute=True)
    return project


def labels_last(folder: Path, open_at: OpenProject) -> Project:
    """Measure everything before any late label is there, then day by day as they come."""
    project = open_at(folder, EVIDENCE)
    write(folder / "log/all.parquet", LOG.log)
    follow(project, DAYS, recompute=True)
    for part in range(3):
        start, end = START + part * DAY, START + (part + 1 if part < 2 else 9) * DAY
        write(folder / f"labels/{part}.parquet", between(LOG.labels, start, end, "label_time"))
        follow(project, DAYS)
    return project


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> State:
    opened: list[Project] = []

    def opening(*args: object, **kwargs: object) -> Project:
        opened.append(project_at(*args, **kwargs))  # type: ignore[arg-type]
        return opened[-1]

    found = concluded(in_one_go(tmp_path_factory.mktemp("at once"), opening))
    opened[-1].store.close()
    return found


@pytest.mark.parametrize("play", [bit_by_bit, backwards, labels_last])
def test_evidence_comes_to_the_same_however_it_comes(
    tmp_path: Path, open_at: OpenProject, expected: State, play: Play
) -> None:
    found = concluded(play(tmp_path, open_at))

    assert found[0] == expected[0]
    assert found[1] == expected[1]
    assert len(found[1]) == len(SLOS) * len(DAYS)


def test_the_replay_from_snapshots_alone_is_what_is_stored(tmp_path: Path, open_at: OpenProject) -> None:
    project = in_one_go(tmp_path, open_at)
    for slo in SLOS:
        context = context_of(project, project.registry.find(slo), now=LATER, run_id="test")
        with project.engine() as connection:
            replayed = list(evidence_over(context, connection, Window(START, START + 5 * DAY)))
        with project.store.read() as session:
            stored = measurements.between(session, slo, start=START, end=START + 5 * DAY)
        assert sorted(replayed, key=lambda row: (row.window_end, row.slice)) == list(stored)


def test_the_latency_incident_is_one_breach_that_ends(tmp_path: Path, open_at: OpenProject) -> None:
    """Latency is twenty times as long from the twentieth to the twenty-second hour."""
    found = rows(in_one_go(tmp_path, open_at), "p99_latency", "*")
    bad = [row.window_end for row in found if row.verdict is Verdict.BREACHED]

    assert START + 21 * HOUR <= min(bad) <= START + 24 * HOUR
    assert max(bad) <= START + 36 * HOUR
    assert len(bad) == (max(bad) - min(bad)) // (3 * HOUR) + 1
    assert found[-1].verdict in (Verdict.MEETING, Verdict.UNKNOWN)
    assert {row.mode for row in found} == {Mode.EVIDENCE}
    assert {row.threshold for row in found} == {1_000.0}


def test_outcomes_younger_than_the_labels_take_are_not_looked_at(tmp_path: Path, open_at: OpenProject) -> None:
    """Scores for `buy` are far off from the thirtieth to the thirty-sixth hour; labels take thirty."""
    found = rows(in_one_go(tmp_path, open_at), "ece_bound", "intent=buy,language=en")
    bad = [row.window_end for row in found if row.verdict is Verdict.BREACHED]

    assert min(bad) > START + 60 * HOUR
    assert min(bad) <= START + 69 * HOUR
    assert all(row.labeled == 0 for row in found if row.window_end <= START + 30 * HOUR)


def test_excluded_time_is_no_evidence(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, EVIDENCE)
    put(tmp_path, LOG)
    agreed = Exclusion(Window(START + 20 * HOUR, START + 22 * HOUR), "load test", slos="p99_latency")
    with project.store.write() as session:
        exclusions.add(session, agreed, created_at=START)
    aggregate(project, DAYS)
    measure(project, "p99_latency", DAYS, recompute=True)

    verdicts = {row.verdict for row in rows(project, "p99_latency", "*")}
    assert Verdict.BREACHED not in verdicts
    assert Verdict.EXCLUDED in verdicts


def test_another_definition_begins_with_evidence_of_its_own(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, EVIDENCE)
    put(tmp_path, LOG)
    aggregate(project, DAYS)
    measure(project, "clamp_activation", DAYS[:2], START + 2 * DAY, recompute=True)
    changed = open_at(tmp_path, EVIDENCE.replace("clamp_activation: {", "clamp_activation: {fail: 0.5, "))
    measure(changed, "clamp_activation", DAYS[2:], recompute=True)

    limits = {row.window_end: row.threshold for row in rows(changed, "clamp_activation", "*")}
    assert {limit for end, limit in limits.items() if end <= START + 2 * DAY} == {0.1}
    assert {limit for end, limit in limits.items() if end > START + 2 * DAY} == {0.5}


def test_evidence_of_another_release_begins_anew(
    tmp_path: Path, open_at: OpenProject, caplog: pytest.LogCaptureFixture
) -> None:
    project = open_at(tmp_path, EVIDENCE)
    put(tmp_path, LOG)
    aggregate(project, DAYS)
    measure(project, "clamp_activation", DAYS)
    expected = rows(project, "clamp_activation", "*")
    with project.store.write() as session:
        assert session.scalar(sa.select(sa.func.count()).select_from(schema.detector_states))
        session.execute(sa.update(schema.detector_states).values(state=b"of another release"))
    measure(project, "clamp_activation", DAYS[-2:], recompute=True)

    assert "begins anew" in caplog.text
    assert rows(project, "clamp_activation", "*") == expected


def test_nothing_is_taken_again_when_nothing_has_changed(tmp_path: Path, open_at: OpenProject) -> None:
    project = in_one_go(tmp_path, open_at)

    assert [measure(project, slo, DAYS).windows for slo in SLOS] == [0] * len(SLOS)


def test_of_a_day_only_the_last_checkpoint_and_that_of_its_end_are_kept(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, EVIDENCE)
    put(tmp_path, LOG)
    for now in (START + 20 * HOUR, START + 30 * HOUR, START + 33 * HOUR):
        aggregate(project, DAYS[:2], now)
        measure(project, "p99_latency", [now.date()], now)

    with project.store.read() as session:
        ends = detector_states.ends(session, "p99_latency")
    assert ends == (START + DAY, START + 30 * HOUR)
