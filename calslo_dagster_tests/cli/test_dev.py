"""`calslo dev --prepare` makes what Dagster needs, once, whoever comes first; that it runs is tested elsewhere."""

import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml

from calslo_dagster.defs.launch import instance
from calslo_dagster.store.migrations import check
from calslo_dagster_tests.cli.running import clean_environ, run

CROWD = 4
# Processes that have loaded everything and wait for one sign meet where the tables are made.
AT_ONCE = """
import sys, time
from pathlib import Path
from calslo_dagster.defs.launch import prepare
home = Path(sys.argv[1])
(home / f"ready-{sys.argv[2]}").touch()
while not (home / "go").exists():
    time.sleep(0.001)
prepare(home)
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Return a settings file beside an empty log."""
    (tmp_path / "logs").mkdir()
    (tmp_path / "calslo.yaml").write_text("home: state\nsources: [{name: log, paths: [logs/]}]\n", encoding="utf-8")
    return tmp_path / "calslo.yaml"


def test_what_is_missing_is_made_and_the_way_to_start_is_told(settings: Path) -> None:
    done = run("dev", "--prepare", "--port", 3001)

    folder = settings.parent / "state" / "dagster"
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "Everything is in place. Start it with",
        f"  CALSLO_CONFIG={settings} DAGSTER_HOME={folder} dagster dev -h 127.0.0.1 -p 3001 -w {folder}/workspace.yaml",
    ]
    assert check(f"sqlite:///{settings.parent}/state/calslo.db") == ()
    module = {"module_name": "calslo_dagster.definitions", "location_name": "calslo"}
    assert yaml.safe_load((folder / "workspace.yaml").read_text()) == {"load_from": [{"python_module": module}]}
    with instance(settings.parent / "state") as found:
        assert found.get_runs() == []
        assert found.get_concurrency_config().pool_config.default_pool_limit == 1


def test_dagster_home_may_not_exist_yet(settings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "elsewhere"))

    done = run("dev", "--prepare", "--config", settings)

    assert f"DAGSTER_HOME={tmp_path / 'elsewhere'} " in done.stdout
    assert not (tmp_path / "state" / "dagster").exists()
    with dg.DagsterInstance.get() as found:
        assert found.root_directory == str(tmp_path / "elsewhere")


def test_a_relative_dagster_home_is_refused_before_anything_is_made(
    settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "elsewhere")

    done = run("dev", "--prepare")

    assert done.exit_code == 2
    assert "must be an absolute path" in done.stderr
    assert not (settings.parent / "elsewhere").exists()


def test_an_instance_that_is_there_stays_as_it_is(settings: Path) -> None:
    file = settings.parent / "state" / "dagster" / "dagster.yaml"
    assert run("dev", "--prepare").exit_code == 0
    ours = file.read_text() + "# our own words\n"
    file.write_text(ours)

    assert run("dev", "--prepare").exit_code == 0

    assert file.read_text() == ours


def test_several_that_find_nothing_do_not_stumble_over_each_other(settings: Path) -> None:
    home = settings.parent / "state"
    home.mkdir()
    environ = clean_environ()
    started = [
        subprocess.Popen([sys.executable, "-c", AT_ONCE, str(home), str(n)], env=environ, stderr=subprocess.PIPE)
        for n in range(CROWD)
    ]
    while len(list(home.glob("ready-*"))) < CROWD:
        assert all(process.poll() is None for process in started)
        time.sleep(0.05)

    (home / "go").touch()
    told = [process.communicate(timeout=120)[1].decode() for process in started]

    assert [(process.returncode, text) for process, text in zip(started, told, strict=True)] == [(0, "")] * CROWD
