"""The schedules run by themselves: a real daemon and webserver on loopback, until three ticks have left verdicts."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest
import yaml

from calslo_dagster.defs.launch import instance_config, write_workspace

SETTINGS = {"home": ".", "demo": {"events_per_day": 2_000}, "sources": [{"name": "demo", "kind": "demo"}]}
TICKS = 3

ASSETS = """{assetNodes {assetKey {path} groupName isPartitioned}}"""
RUNS = """{runsOrError(filter: {pipelineName: "minute_job"}) {... on Runs {results {runId status tags {key value}}}}}"""
TICK_STATES = """{repositoriesOrError {... on RepositoryConnection {nodes {schedules {name scheduleState
    {status ticks(limit: 10) {status error {message}}}} sensors {name sensorState
    {status ticks(limit: 10) {status error {message}}}}}}}}"""


@contextmanager
def started(home: Path, port: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run daemon and webserver; at the end they and all that they started are gone."""
    folder = home / "dagster"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(yaml.safe_dump(instance_config(folder)), encoding="utf-8")
    workspace = write_workspace(folder)
    # Two processes that both find no tables create them at once, and one of them ends with "table already exists".
    dg.DagsterInstance.from_config(str(folder)).dispose()
    environment = os.environ | {"DAGSTER_HOME": str(folder), "CALSLO_CONFIG": str(home / "calslo.yaml")}
    bin_folder = Path(sys.executable).parent
    commands = [
        [str(bin_folder / "dagster-daemon"), "run", "-w", str(workspace)],
        [str(bin_folder / "dagster-webserver"), "-h", "127.0.0.1", "-p", str(port), "-w", str(workspace)],
    ]
    with (home / "output.log").open("wb") as log:
        processes = [
            subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=log, start_new_session=True)
            for command in commands
        ]
        try:
            yield processes
        finally:
            stop(processes)


def stop(processes: list[subprocess.Popen[bytes]]) -> None:
    """End the processes as a person would, with Ctrl-C, then whatever is left of their sessions."""
    family = [child for one in processes for child in psutil.Process(one.pid).children(recursive=True)]
    for one in processes:
        one.send_signal(signal.SIGINT)
    for one in processes:
        try:
            one.wait(timeout=30)
        except subprocess.TimeoutExpired:
            one.kill()
            one.wait()
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


@pytest.mark.timeout(480)
def test_three_minutes_pass_and_verdicts_appear(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text(yaml.safe_dump(SETTINGS), encoding="utf-8")
    port = free_port()

    with started(tmp_path, port) as processes:
        nodes = eventually(lambda: asked(port, ASSETS)["assetNodes"], within_seconds=120)
        eventually(lambda: len(succeeded(port)) >= TICKS, within_seconds=330)
        [repository] = asked(port, TICK_STATES)["repositoriesOrError"]["nodes"]
        pids = [one.pid for one in processes]

    groups = {"/".join(node["assetKey"]["path"]): node["groupName"] for node in nodes}
    assert {name for name, group in groups.items() if group == "slo"} == {
        *("slo/ece_bound", "slo/clamp_activation", "slo/merged_bins", "slo/p99_latency"),
        *("slo/weekly_drift", "slo/score_range", "slo/clamp_alpha"),
    }
    for schedule in repository["schedules"]:
        assert schedule["scheduleState"]["status"] == "RUNNING"
    for sensor in repository["sensors"]:
        assert [t for t in sensor["sensorState"]["ticks"] if t["status"] == "FAILURE"] == [], sensor["name"]
    with sqlite3.connect(tmp_path / "calslo.db") as store:
        measured = {name for (name,) in store.execute("SELECT DISTINCT slo FROM measurements")}
    assert {"ece_bound", "clamp_activation", "merged_bins", "p99_latency", "score_range"} <= measured
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
    assert not [p for p in psutil.process_iter(["cmdline"]) if str(tmp_path) in " ".join(p.info["cmdline"] or [])]
