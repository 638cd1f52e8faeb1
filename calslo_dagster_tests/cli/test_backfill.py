"""`calslo backfill` runs the pipeline through Dagster and arrives at the numbers that `calslo evaluate` finds."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import numpy as np
import pytest

from calslo_dagster.defs.launch import instance
from calslo_dagster.engine.read import facts_digest
from calslo_dagster.pipeline.project import Project, open_project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.windows import DAY, Window, day_span
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster.stats.summary import metrics
from calslo_dagster.store import measurements
from calslo_dagster.store.digest import table_digest
from calslo_dagster.store.schema import measurements as measurement_table
from calslo_dagster_tests.cli.logs import START, Sample, sample
from calslo_dagster_tests.cli.running import CALSLO, clean_environ, measured, run, spawn, spawn_on_terminal

DAYS = 2
SETTINGS = """
home: state
history_start: 2026-03-01
sources: [{name: ranker, paths: [logs/]}]
slices: {columns: [country]}
"""
RANGE = ("--from", "2026-03-02", "--to", "2026-03-03")


def project_in(folder: Path, days: int = DAYS) -> Path:
    """Write settings and a log of bad scores and repeated predictions; return the folder of the log."""
    folder.mkdir()
    (folder / "calslo.yaml").write_text(SETTINGS)
    log = sample(4_000, days=days)
    scores = np.where(np.arange(4_000) % 97 == 0, np.nan, log.scores)
    for name, part in (("early", slice(0, 2_500)), ("late", slice(1_500, 4_000))):
        count = part.stop - part.start
        Sample(log.times[part], scores[part], log.labels[part]).write(
            folder / "logs" / f"{name}.parquet",
            prediction_id=[f"p{i}" for i in range(part.start, part.stop)],
            country=[("de", "fr", None)[i % 3] for i in range(part.start, part.stop)],
            latency_us=np.random.default_rng(count).exponential(300, count),
        )
    return folder / "logs"


@contextmanager
def opened(folder: Path) -> Iterator[Project]:
    """Yield the project, its store closed afterwards."""
    project = open_project(load_settings(folder / "calslo.yaml", {}))
    with project.store:
        yield project


def sums_of_days(folder: Path, days: int = DAYS) -> dict[str, Snapshot]:
    """Return the snapshot of every slice, added up over the days from START on."""
    spans = [day_span(date(2026, 3, 2) + n * DAY) for n in range(days)]
    with opened(folder) as project, project.engine() as connection:
        whole = snapshots_over(project, connection, Window(spans[0].start, spans[-1].end))
        by_day = [whole.window(span) for span in spans]
    names = {name for found in by_day for name in found}
    return {name: merge(found[name] for found in by_day if name in found) for name in names}


def digests(folder: Path) -> tuple[str, str]:
    """Return what identifies the facts and the measurements."""
    with opened(folder) as project, project.engine() as connection, project.store.read() as session:
        whole = snapshots_over(project, connection, Window(START - 30 * DAY, START + 30 * DAY))
        folders = [project.partials / partial.path for partial in whole.listed if partial.path]
        return facts_digest(connection, folders), table_digest(session, measurement_table)


@pytest.fixture(scope="module")
def filled(memory: Path) -> Path:
    """Return a folder whose two days were backfilled by a process of its own."""
    folder = memory / "filled"
    project_in(folder)
    done = spawn("backfill", *RANGE, "--config", folder / "calslo.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "2 days from 2026-03-02 to 2026-03-03 recomputed in 3 runs.\n"
    assert done.stderr == ""
    return folder


def test_every_slice_has_the_numbers_that_evaluate_finds(filled: Path) -> None:
    body = measured(filled / "logs", "--slice", "country", "--config", filled / "calslo.yaml")

    found = {name: dict(metrics(snapshot, slow_us=1_000.0)) for name, snapshot in sums_of_days(filled).items()}

    assert body["rejected"] == {"duplicates": 1_000, "nan": 42}
    assert set(found) == {"*", "country=%null", "country=de", "country=fr"}
    for name, values in body["metrics"].items():
        del values["conflicting_labels"]
        assert values == found[name]


def test_every_day_is_measured_as_evaluate_measures_it(filled: Path) -> None:
    rows = measured(filled / "logs", "--slice", "country", "--window", "24h", "--slo", "ece_bound")["measurements"]

    with opened(filled) as project, project.store.read() as session:
        stored = {
            (row.slice, row.window_end): row
            for end in (START + DAY, START + 2 * DAY)
            for row in measurements.between(session, "ece_bound", start=end - timedelta(minutes=15), end=end)
        }
    assert len(stored) == len(rows) == 8
    for row in rows:
        found = stored[row["slice"], datetime.fromisoformat(row["window_end"])]
        assert (found.value, found.threshold, found.events) == (row["value"], row["threshold"], row["events"])
        assert (found.verdict, found.reason) == (row["verdict"], row["reason"])


def test_the_runs_are_in_the_history_that_the_ui_shows(filled: Path) -> None:
    with instance(filled / "state") as found:
        assert {run.status for run in found.get_runs()} == {dg.DagsterRunStatus.SUCCESS}
        keys = found.get_materialized_partitions(dg.AssetKey("calibration_snapshots"))

    assert keys == {"2026-03-02", "2026-03-03"}


def test_the_same_tables_come_out_backwards_day_by_day_and_again(
    filled: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, other = digests(filled), memory / "backwards"
    project_in(other)
    monkeypatch.chdir(other)

    done = run("backfill", *RANGE, "--days-per-run", "1", "--backwards")
    backwards = digests(other)
    again = run("backfill", *RANGE)

    assert (done.exit_code, again.exit_code) == (0, 0)
    assert "recomputed in 4 runs" in done.stdout
    assert backwards == digests(other) == before


def test_a_broken_file_is_told_and_the_others_are_counted(memory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    logs = project_in(memory / "broken")
    monkeypatch.chdir(memory / "broken")
    (logs / "broken.parquet").write_bytes(b"PAR1")

    done = run("backfill", "--from", "2026-03-02", "--to", "2026-03-02")

    assert done.exit_code == 2
    assert done.stdout == "2026-03-02 recomputed in 3 runs.\n"
    assert done.stderr.startswith(f"calslo: {logs / 'broken.parquet'}: the Parquet footer is missing")
    assert sums_of_days(memory / "broken", 1)["*"].events > 1_000


def test_how_far_it_is_is_shown_while_it_runs(memory: Path) -> None:
    project_in(memory / "watched")
    file = memory / "watched" / "calslo.yaml"

    shown = spawn_on_terminal("backfill", *RANGE, "--config", file, streams="stderr", columns=120)

    assert re.search(r" \d+% \S+ +\d+/\d+, 00:0\d, slo/", shown.terminal)
    assert shown.terminal.endswith("\r")
    assert shown.stdout.endswith("recomputed in 3 runs.\n")


SLOW = """
import time
from datetime import timedelta

from calslo_dagster.slo.model import SLO, Objective
from calslo_dagster.stats.estimate import Estimate


def measured(evidence):
    time.sleep(0.5)
    return Estimate(0.0, events=evidence.current.events)


slo = SLO(name="slow", title="Slow", sli=measured, objective=Objective(at_most=1.0), window=timedelta(days=1))
"""


def test_an_interrupted_run_says_so_in_one_line_and_can_be_run_again(memory: Path) -> None:
    """An SLO that takes its time has the run still going when it is interrupted."""
    project_in(memory / "cut")
    file, slow = memory / "cut" / "calslo.yaml", memory / "cut" / "slow.py"
    slow.write_text(SLOW)
    file.write_text(f"{file.read_text()}\nslos: {{modules: [{slow}]}}\n")
    command = [sys.executable, "-c", CALSLO, "backfill", *RANGE, "--config", str(file)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_environ())
    with instance(memory / "cut" / "state") as found:
        while not found.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])):
            assert process.poll() is None
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        stdout, stderr = process.communicate(timeout=60)
        left = {run.status for run in found.get_runs()}

    assert (process.returncode, stdout) == (130, "")
    assert stderr == "calslo: interrupted; what was stored stays, and the same command may be run again\n"
    assert left == {dg.DagsterRunStatus.FAILURE}
    slow.write_text(SLOW.replace("0.5", "0.0"))
    assert spawn("backfill", *RANGE, "--config", file).returncode == 0


def test_a_log_that_is_not_there_fails_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text(SETTINGS)

    done = run("backfill", *RANGE)

    assert done.exit_code == 2
    assert str(tmp_path / "logs") in done.stderr
    assert "does not exist" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--from", "2026-03-05", "--to", "2026-03-02"), "--to 2026-03-02 is before --from 2026-03-05"),
        (("--from", "2026-02-01", "--to", "2026-03-02"), "set history_start: 2026-02-01"),
        (("--from", "2026-03-02", "--to", f"{datetime.now(UTC).date() + DAY}"), "lies in the future"),
        (("--from", "soon", "--to", "2026-03-02"), "'soon' does not match the format"),
        (("--from", "2026-02-30", "--to", "2026-03-02"), "'2026-02-30' does not match the format"),
        ((*RANGE, "--days-per-run", "0"), "0 is not in the range x>=1"),
        (("--from", "2026-03-02"), "Missing option '--to'"),
    ],
)
def test_a_range_that_cannot_be_run_is_refused_before_anything_is_written(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    project_in(tmp_path / "here")

    done = run("backfill", *arguments, "--config", tmp_path / "here" / "calslo.yaml")

    assert done.exit_code == 2
    assert done.stdout == ""
    assert says in done.stderr
    assert not (tmp_path / "here" / "state").exists()


def test_a_home_of_dagster_that_does_not_exist_is_told(tmp_path: Path) -> None:
    project_in(tmp_path / "here")

    done = run("backfill", *RANGE, CALSLO_CONFIG="here/calslo.yaml", DAGSTER_HOME=str(tmp_path / "absent"))

    assert done.exit_code == 2
    assert "absent" in done.stderr
    assert "Traceback" not in done.stderr
