"""Settings are found, read once, and refused as a whole with every mistake."""

import copy
import re
import subprocess
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given
from hypothesis import settings as budget
from hypothesis import strategies as st

from calslo_dagster.errors import PluginError, SettingsError
from calslo_dagster.plugins import load_registry
from calslo_dagster.settings import load_settings
from calslo_dagster.settings.document import parse_document
from calslo_dagster.settings.load import draft_settings
from calslo_dagster_tests.settings.files import FULL, loaded, mistakes, written


def test_no_file_at_all_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    settings = load_settings(environ={})

    assert settings.file is None
    assert settings.home == tmp_path / ".calslo"
    assert settings.store_url == f"sqlite:///{tmp_path}/.calslo/calslo.db"
    assert settings.evaluation_step == timedelta(minutes=15)
    assert settings.history_start == date(2025, 1, 1)
    assert [source.kind for source in settings.logs] == ["demo"]


def test_the_named_file_wins_over_the_variable_and_that_over_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("named.yaml", "variable.yaml", "calslo.yaml"):
        (tmp_path / name).write_text(f"home: {name}-home\n")
    monkeypatch.chdir(tmp_path)
    environ = {"CALSLO_CONFIG": "variable.yaml"}

    assert load_settings("named.yaml", environ).home == tmp_path / "named.yaml-home"
    assert load_settings(environ=environ).home == tmp_path / "variable.yaml-home"
    assert load_settings(environ={}).home == tmp_path / "calslo.yaml-home"
    assert load_settings(environ={"CALSLO_CONFIG": " "}).file == tmp_path / "calslo.yaml"


def test_a_file_that_was_asked_for_must_exist(tmp_path: Path) -> None:
    absent = tmp_path / "absent.yaml"

    with pytest.raises(SettingsError, match=r"absent\.yaml: does not exist$"):
        load_settings(absent, {})
    with pytest.raises(SettingsError, match=r"does not exist \(named by CALSLO_CONFIG\)"):
        load_settings(environ={"CALSLO_CONFIG": str(absent)})
    with pytest.raises(SettingsError, match="is a folder; name the file in it"):
        load_settings(tmp_path, {})


def test_relative_paths_start_at_the_folder_of_the_file(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "home: state\n")

    assert settings.home == tmp_path / "state"
    assert settings.path("/etc/x") == Path("/etc/x")
    assert settings.alert_log == tmp_path / "state" / "alerts.jsonl"


def test_the_environment_wins_over_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    environ = {"CALSLO_HOME": "elsewhere", "CALSLO_STORE_URL": "postgresql://u:pw@db/x"}

    settings = loaded(tmp_path, "home: state\nstore_url: sqlite:///other.db\nlateness: 5m\n", environ)

    assert settings.home == tmp_path / "elsewhere"
    assert settings.store_url == "postgresql://u:pw@db/x"
    assert settings.lateness == timedelta(minutes=5)
    assert "pw" not in repr(settings)


def test_three_mistakes_are_three_lines_each_with_file_line_and_key(tmp_path: Path) -> None:
    told = mistakes(
        tmp_path,
        """\
        lateness: 10
        slos:
          ece_bound:
            target: 99.9
        sorces: []
        """,
    )

    assert told == [
        "calslo.yaml:1: lateness: 10 has no unit; write 10m for minutes, 10h for hours or 10d for days",
        "calslo.yaml:4: slos.ece_bound.target: 99.9 is not a ratio between 0 and 1; write 0.999 for 99.9%",
        "calslo.yaml:5: sorces: unknown key; did you mean sources?",
    ]


def test_contradictions_are_told_together_with_wrong_values(tmp_path: Path) -> None:
    """A check runs when its own sections are sound, whatever is wrong in the others."""
    told = mistakes(tmp_path, "lateness: 10\nretention: {panes: 20d}\n")

    assert [line.partition(": ")[0] for line in told] == ["calslo.yaml:1", "calslo.yaml:2"]
    assert "shorter than label_horizon (30d)" in told[1]


TOLD_AT_ONCE = """\
slos:
  ece_bound: {min_event: 500}
  clamp_activation: {fail: 1.5}
  define:
    - {name: sharp, metric: briar, operator: "<=", fail: 0.2}
"""


def test_only_what_is_broken_is_left_out(tmp_path: Path) -> None:
    """A mistake hides no other one, and an unknown key hides nothing of its section."""
    draft = draft_settings(written(tmp_path, TOLD_AT_ONCE), {})

    assert [str(mistake).partition("calslo.yaml:")[2] for mistake in draft.mistakes] == [
        "2: slos.ece_bound.min_event: unknown key; did you mean min_events?"
    ]
    assert draft.broken == set()
    assert draft.settings.slos.named["clamp_activation"].fail == 1.5
    with pytest.raises(SettingsError) as refused:
        load_registry(draft.settings)
    assert [line.partition("calslo.yaml:")[2].partition(": ")[0] for line in str(refused.value).splitlines()] == [
        "3",
        "5",
    ]


def test_entries_keep_their_number_when_others_are_left_out(tmp_path: Path) -> None:
    told = mistakes(
        tmp_path,
        """\
        exclusions:
          - {from: yesterday, to: 2026-01-02, reason: x, author: y}
          - {from: 2026-01-02, to: 2026-01-01, reason: x, author: y}
        sources:
          - {name: a, paths: 3}
          - {name: b, paths: [x]}
          - {name: B, paths: [y]}
        """,
    )

    assert [line.partition(": ")[2].partition(": ")[0] for line in told] == [
        "exclusions[0].from",
        "exclusions[1].to",
        "sources[0].paths",
        "sources[2].name",
    ]


def test_an_slo_that_is_left_out_is_not_missed(tmp_path: Path) -> None:
    """Whoever names it is not wrong for that."""
    text = "slos:\n  disable: [mine]\n  define:\n    - {name: mine, metric: n, operator: nope, fail: 1}\n"
    draft = draft_settings(written(tmp_path, text), {})

    assert [mistake.key for mistake in draft.mistakes] == ["slos.define[0].operator"]
    assert "ece_bound" in load_registry(draft.settings).names


def test_a_wrong_limit_is_not_replaced_by_the_default_one(tmp_path: Path) -> None:
    """The warning would be past it, and nobody wrote that."""
    draft = draft_settings(written(tmp_path, "slos: {clamp_activation: {fail: much, warn: 0.3}}\n"), {})

    assert [mistake.key for mistake in draft.mistakes] == ["slos.clamp_activation.fail"]
    assert load_registry(draft.settings).names


def test_a_file_below_the_working_directory_is_named_relative_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path, "lateness: 10\n")
    monkeypatch.chdir(tmp_path)

    with pytest.raises(SettingsError, match=r"^calslo\.yaml:1: "):
        load_settings(tmp_path / "calslo.yaml", {})


def test_a_draft_keeps_what_is_sound(tmp_path: Path) -> None:
    draft = draft_settings(written(tmp_path, "lateness: 10\nhome: state\nslos: {x: 1}\n"), {})

    assert draft.broken == {"lateness", "slos"}
    assert draft.settings.home == tmp_path / "state"
    assert draft.settings.lateness == timedelta(minutes=10)


def test_a_key_without_a_value_counts_as_absent(tmp_path: Path) -> None:
    settings = loaded(tmp_path, "slos:\nengine:\nlateness:\nsources:\nslices:\n  columns:\n")

    assert settings.slices.columns == ("intent", "language")
    assert settings.lateness == timedelta(minutes=10)


def test_the_full_example_is_read() -> None:
    settings = load_settings(FULL, {"CALSLO_DB": "sqlite:///x.db"})

    assert settings.slices.measured == ((), ("intent",), ("intent", "language"))
    assert settings.slos.named["ece_bound"].parameters == {"c": 0.8, "floor": 0.02, "bins": 12}
    assert settings.dashboard_url == "https://calslo.example"
    assert settings.retention.runs == timedelta(days=7)
    assert settings.manifest_files[0] == FULL.parent / "manifests.json"


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "1h", "env:X", "a: b", "99%", "*", "\x00"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["name", "kind", "fail", "x"]), inner),
    max_leaves=4,
)
DATA = parse_document(FULL, "full.yaml")[0].data


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every key and item of the data."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*path, key), *places(item, (*path, key)))]


@budget(max_examples=150, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.sampled_from(places(DATA)), value=VALUES)
def test_whatever_stands_in_the_file_is_read_or_refused_by_line(
    tmp_path: Path, place: tuple[Any, ...], value: Any
) -> None:
    """Nothing that people write ends in a traceback."""
    data = copy.deepcopy(DATA)
    parent = data
    for key in place[:-1]:
        parent = parent[key]
    parent[place[-1]] = value
    file = written(tmp_path, "")
    file.write_text(yaml.safe_dump(data))

    told = ""
    try:
        load_registry(load_settings(file, {"CALSLO_DB": "sqlite:///x.db"}))
    except (SettingsError, PluginError) as error:
        told = str(error)

    assert [line for line in told.splitlines() if not re.match(rf"{re.escape(str(file))}(:\d+)?: ", line)] == []


def test_reading_settings_loads_neither_engine_nor_orchestrator() -> None:
    """Every command starts with the settings, so what they import is paid everywhere."""
    code = "import sys; import calslo_dagster.settings; print(*sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    heavy = {"numpy", "pandas", "duckdb", "pyarrow", "sqlalchemy", "dagster", "scipy", "click", "rich"}
    assert heavy & set(done.stdout.split()) == set()
