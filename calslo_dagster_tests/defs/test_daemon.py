"""`calslo dev` on an empty folder: schedules run until three ticks have left verdicts, and runs take turns."""

import json
import signal
import socket
import sqlite3
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml

from calslo_dagster_tests.cli.running import clean_environ, script_path

SETTINGS = {"home": ".", "demo": {"events_per_day": 2_000}, "sources": [{"name": "demo", "kind": "demo"}]}
TICKS = 3

ASSETS = """{assetNodes {assetKey {path} groupName isPartitioned}}"""
RUNS = """{runsOrError(filter: {pipelineName: "minute_job"}) {... on Runs {results {runId status tags {key value}}}}}"""
RUN = """{runOrError(runId: "%s") {... on Run {status}}}"""
TICK_STATES = """{repositoriesOrError {... on RepositoryConnection {nodes {schedules {name scheduleState
    {status ticks(limit: 10) {status error {message}}}} sensors {name sensorState
    {status ticks(limit: 10) {status error {message}}}}}}}}"""

MATERIALIZE = """mutation {launchRun(executionParams: {selector: {repositoryLocationName: "calslo",
    repositoryName: "__repository__", pipelineName: "__ASSET_JOB", assetSelection: [{path: ["%s"]}]},
    runConfigData: "{}", executionMetadata: {tags: [{key: "dagster/partition", value: "%s"}]}})
    {__typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}}}"""


@dataclass(frozen=True, slots=True)
class Dev:
    """A running `calslo dev`: its folder, the port of its UI, its process."""

    home: Path
    port: int
    process: "subprocess.Popen[bytes]"


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """Yield `calslo dev`, which works on while other tests run: minutes have to pass. In the end all of it is gone."""
    home, port = tmp_path_factory.mktemp("dev"), free_port()
    (home / "calslo.yaml").write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    command = [str(script_path()), "dev", "--config", str(home / "calslo.yaml"), "--port", str(port)]
    with (home / "output.log").open("wb") as log:
        process = subprocess.Popen(
            command, cwd=home, env=clean_environ(), stdout=log, stderr=log, start_new_session=True
        )
        try:
            yield Dev(home, port, process)
        finally:
            if process.poll() is None:
                stop(process)


def stop(process: "subprocess.Popen[bytes]") -> None:
    """End the process as a person would, with Ctrl-C, then whatever is left of its session."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    _, alive = psutil.wait_procs(family, timeout=30)
    for child in alive:
        child.kill()
    psutil.wait_procs(alive, timeout=10)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def asked(port: int, query: str) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)["data"]


def eventually(question: Callable[[], Any], within_seconds: float) -> Any:
    """Ask until the answer is true; say what the last one was when the time is over."""
    answer, last = None, time.monotonic() + within_seconds
    while time.monotonic() < last:
        try:
            answer = question()
        except OSError as error:
            answer = error
        if answer and not isinstance(answer, OSError):
            return answer
        time.sleep(2)
    pytest.fail(f"not within {within_seconds} s; the last answer was {answer!r}")


def succeeded(port: int) -> list[dict[str, Any]]:
    runs = asked(port, RUNS)["runsOrError"]["results"]
    scheduled = [r for r in runs if any(t["key"] == "dagster/schedule_name" for t in r["tags"])]
    assert [r for r in scheduled if r["status"] == "FAILURE"] == []
    return [r for r in scheduled if r["status"] == "SUCCESS"]


def materialized(port: int, asset: str, day: str) -> str:
    """Press the button of the UI that materializes one partition of one asset; return the id of the run."""
    answer = asked(port, MATERIALIZE % (asset, day))["launchRun"]
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def is_over(port: int, run_id: str) -> bool:
    """Whether the run has ended, well or not."""
    answer = asked(port, RUN % run_id)["runOrError"]
    return answer["status"] in ("SUCCESS", "FAILURE", "CANCELED")


def spans(found: dg.DagsterInstance) -> list[tuple[float, float]]:
    """Return when each run that writes began and ended, in order."""
    records = [record for record in found.get_run_records() if record.start_time and record.end_time]
    return sorted((record.start_time or 0.0, record.end_time or 0.0) for record in records)


def test_everything_is_served_and_runs_by_itself(dev: Dev) -> None:
    nodes = eventually(lambda: asked(dev.port, ASSETS)["assetNodes"], within_seconds=150)
    [repository] = asked(dev.port, TICK_STATES)["repositoriesOrError"]["nodes"]

    groups = {"/".join(node["assetKey"]["path"]): node["groupName"] for node in nodes}
    assert {name for name, group in groups.items() if group == "slo"} == {
        *("slo/ece_bound", "slo/clamp_activation", "slo/merged_bins", "slo/p99_latency"),
        *("slo/weekly_drift", "slo/score_range", "slo/clamp_alpha"),
    }
    for schedule in repository["schedules"]:
        assert schedule["scheduleState"]["status"] == "RUNNING"


@pytest.mark.timeout(720)
def test_three_minutes_pass_and_verdicts_appear(dev: Dev) -> None:
    eventually(lambda: len(succeeded(dev.port)) >= 1, within_seconds=300)
    pressed = materialized(dev.port, "calibration_snapshots", f"{datetime.now(UTC):%Y-%m-%d}")
    eventually(lambda: is_over(dev.port, pressed), within_seconds=150)
    eventually(lambda: len(succeeded(dev.port)) >= TICKS, within_seconds=330)
    [repository] = asked(dev.port, TICK_STATES)["repositoriesOrError"]["nodes"]
    stop(dev.process)

    for sensor in repository["sensors"]:
        assert [t for t in sensor["sensorState"]["ticks"] if t["status"] == "FAILURE"] == [], sensor["name"]
    with sqlite3.connect(dev.home / "calslo.db") as store:
        measured = {name for (name,) in store.execute("SELECT DISTINCT slo FROM measurements")}
    assert {"ece_bound", "clamp_activation", "merged_bins", "p99_latency", "score_range"} <= measured
    with dg.DagsterInstance.from_config(str(dev.home / "dagster")) as found:
        run, times = found.get_run_by_id(pressed), spans(found)
        told = [entry.user_message for entry in found.all_logs(pressed)]
    assert run is not None
    assert (run.job_name, run.status) == ("__ASSET_JOB", dg.DagsterRunStatus.SUCCESS)
    assert any(message.startswith("Executing steps in process") for message in told)
    assert [later for (_, end), later in pairwise(times) if later[0] < end] == []
    assert not psutil.pid_exists(dev.process.pid)
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(dev.home) in " ".join(p.info["cmdline"] or [])]
