"""`calslo demo` plays two weeks through Dagster, compares them with the script, and can be played again."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from calslo_dagster.engine.read import facts_digest
from calslo_dagster.pipeline.project import open_project
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.windows import week_of
from calslo_dagster.store import partials
from calslo_dagster.store.digest import table_digest
from calslo_dagster.store.schema import metadata
from calslo_dagster_tests.cli.running import run, spawn

# Everything is measured, but not each slice of it apart: the script of incidents is the same, at a tenth of the work.
QUICK = """
home: .
history_start: {start}
demo: {{days: 14, end: {end}, events_per_day: 2000}}
sources: [{{name: demo, kind: demo}}]
slices: {{columns: [intent, language], views: [[]]}}
"""
# Tables that say when something was looked at, or count it up, not what was found.
LOOKS = {"source_units", "evaluations", "heartbeats", "channel_states"}


def quick_home(folder: Path) -> Path:
    """Return a home whose settings make a small demo."""
    end = week_of(datetime.now(UTC)).start.date()
    folder.mkdir()
    (folder / "calslo.yaml").write_text(QUICK.format(start=end - timedelta(days=14), end=end))
    return folder


def digests(home: Path) -> dict[str, str]:
    """Return what identifies the facts and each table of results."""
    project = open_project(load_settings(home / "calslo.yaml", {}))
    with project.store, project.engine() as connection, project.store.read() as session:
        folders = [project.partials / part.path for part in partials.of_source(session, "demo") if part.path]
        found = {
            table.name: table_digest(session, table) for table in metadata.sorted_tables if table.name not in LOOKS
        }
        return {"facts": facts_digest(connection, folders), **found}


MODES = re.compile(r"Both modes on the same incidents.*?to have it\.\s+", re.DOTALL)


# Two plays of 16 Dagster runs each: half a minute alone, minutes on a machine that does other things.
@pytest.mark.timeout(600)
def test_the_demo_tells_how_the_script_was_noticed_and_plays_again_to_the_same_tables(memory: Path) -> None:
    home = quick_home(memory / "home")

    first = spawn("demo", "--home", home)
    before = digests(home)
    second = spawn("demo", "--no-compare", "--home", home, "--days", "14", "--events-per-day", "2000")

    assert (first.returncode, first.stderr) == (0, "")
    assert (second.returncode, second.stderr) == (0, "")
    assert re.search(r"^\d+ found, \d+ missed, \d+ false; \d+ more breaches follow", first.stdout, re.MULTILINE)
    told, again = (MODES.sub("", done.stdout.partition("State on ")[2]) for done in (first, second))
    assert told
    assert again == told
    (modes,) = MODES.findall(first.stdout)
    assert all(name in modes for name in ("calibration_shift", "clamp_storm", "latency_regression"))
    assert re.search(r"^evidence: \d+ found, \d+ missed, \d+ false;", modes, re.MULTILINE)
    assert digests(home) == before
    _assert_story(first.stdout, home)


def _assert_story(shown: str, home: Path) -> None:
    assert "\x1b" not in shown
    assert all(name in shown for name in ("calibration_shift", "bad_scores", "latency_regression", "alpha_jump"))
    assert f"{home}/calslo.db" in shown
    assert f"calslo demo --home {home} --serve" in shown
    assert "Health: " in shown
    alerts = [json.loads(line) for line in (home / "alerts.jsonl").read_text().splitlines()]
    assert f"Messages: {len(alerts)} to log" in shown
    assert {line["action"] for line in alerts} >= {"trigger", "resolve"}


def test_the_sizes_are_written_into_the_home(tmp_path: Path) -> None:
    home = tmp_path / "home"

    done = run(
        *("demo", "--home", home, "--days", "21", "--events-per-day", "5000"),
        CALSLO_STORE_URL="postgresql://nobody@127.0.0.1:1/x?connect_timeout=1",
    )

    assert done.exit_code == 2
    assert "cannot be reached" in done.stderr
    written = yaml.safe_load((home / "calslo.yaml").read_text())
    assert (written["demo"]["days"], written["demo"]["events_per_day"]) == (21, 5_000)
    assert (written["demo"]["end"] - written["history_start"]).days == 21


@pytest.mark.parametrize("arguments", [("--days", "28"), ("--events-per-day", "92000")])
def test_another_size_than_that_of_the_home_is_refused(tmp_path: Path, arguments: tuple[str, str]) -> None:
    done = run("demo", "--home", quick_home(tmp_path / "home"), *arguments)

    assert done.exit_code == 2
    assert f"leave {arguments[0]} out, or choose another --home" in " ".join(done.stderr.split())


@pytest.mark.parametrize("arguments", [("--days", "13"), ("--days", "401"), ("--events-per-day", "999")])
def test_sizes_without_a_story_are_refused(tmp_path: Path, arguments: tuple[str, str]) -> None:
    done = run("demo", "--home", tmp_path / "home", *arguments)

    assert done.exit_code == 2
    assert "is not in the range" in done.stderr
    assert not (tmp_path / "home").exists()


def test_the_home_of_a_real_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text("sources: [{name: ranker, paths: [logs/]}]\n")

    done = run("demo", "--home", tmp_path)

    assert done.exit_code == 2
    assert "has logs of its own; choose another --home" in " ".join(done.stderr.split())
    assert [path.name for path in tmp_path.iterdir()] == ["calslo.yaml"]


def test_the_home_may_come_from_the_environment(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "calslo.yaml").write_text("nonsense: 1\n")

    done = run("demo", CALSLO_HOME=str(tmp_path / "home"))

    assert done.exit_code == 2
    assert "home/calslo.yaml:1: nonsense" in done.stderr


def test_a_home_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")

    done = run("demo", "--home", tmp_path / "home")

    assert done.exit_code == 2
    assert "is a file" in done.stderr
