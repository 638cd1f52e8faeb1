"""A user's SLO is one file, one entry point or one entry of the settings; nothing else has to change."""

import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

from calslo_dagster.errors import PluginError, SettingsError
from calslo_dagster.plugins import Entry, load_entries, load_registry
from calslo_dagster.slo.definition import definition_hash
from calslo_dagster.slo.model import Evidence
from calslo_dagster.slo.registry import builtin
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.settings.files import loaded

ONE = """\
    from datetime import timedelta

    from calslo_dagster.slo.model import SLO, Evidence, Objective
    from calslo_dagster.stats.estimate import Estimate

    def traffic(evidence: Evidence) -> Estimate:
        return Estimate(float(evidence.current.events), events=1)

    slo = SLO(name="{name}", title="Traffic", sli=traffic, objective=Objective(at_least=10.0), unit="events",
              window=timedelta(hours=1))
"""
WITH_PARAMETERS = """\
    from dataclasses import dataclass
    from functools import partial

    from calslo_dagster.slo.model import SLO, Evidence, Objective
    from calslo_dagster.slo.parameters import parameter
    from calslo_dagster.stats.estimate import Estimate

    @dataclass(frozen=True, slots=True)
    class Parameters:
        least: float = parameter("Fewer events than this are too few.", default=10.0)

    def build(parameters: Parameters) -> SLO:
        sli = partial(_measured, least=parameters.least)
        return SLO("traffic", "Traffic", sli, Objective(at_least=parameters.least), unit="events")

    def _measured(evidence: Evidence, least: float) -> Estimate:
        return Estimate(least)

    slo = build(Parameters())
"""


def module(folder: Path, text: str, name: str = "own.py") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def entries(folder: Path, text: str) -> dict[str, Entry]:
    return {entry.slo.name: entry for entry in load_entries(loaded(folder, text))}


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder that modules and packages are imported from during one test."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    before = set(sys.modules)
    yield folder
    for name in set(sys.modules) - before:
        if name.startswith("own_"):
            del sys.modules[name]


def distribution(site: Path, points: str) -> None:
    """Install a package that declares these entry points."""
    info = site / "own_promises-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: own-promises\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[calslo_dagster.slos]\n{points}\n")


def test_without_settings_the_built_in_slos_are_measured(tmp_path: Path) -> None:
    found = entries(tmp_path, "")

    assert tuple(found) == builtin().names
    assert {entry.origin for entry in found.values()} == {"built in"}


def test_a_file_named_by_its_path_brings_its_slo(tmp_path: Path) -> None:
    module(tmp_path, ONE.format(name="traffic"))

    found = entries(tmp_path, "slos: {modules: [own.py], traffic: {fail: 20, min_events: 3}}")["traffic"]

    assert found.origin == "module own.py"
    assert (found.slo.objective.limit, found.slo.min_events) == (20.0, 3)
    assert found.slo.sli(Evidence(Snapshot())).value == 0.0


def test_a_file_that_exports_several_brings_all(tmp_path: Path) -> None:
    text = dedent(ONE.format(name="one")) + "from dataclasses import replace\nslos = [replace(slo, name='two')]\n"
    module(tmp_path, text)

    assert {"one", "two"} < set(entries(tmp_path, "slos: {modules: [own.py]}"))


def test_two_files_of_one_name_do_not_collide(tmp_path: Path) -> None:
    for folder, name in (("a", "first"), ("b", "second")):
        (tmp_path / folder).mkdir()
        module(tmp_path / folder, ONE.format(name=name))

    assert {"first", "second"} < set(entries(tmp_path, "slos: {modules: [a/own.py, b/own.py]}"))


def test_an_edited_file_is_another_definition(tmp_path: Path) -> None:
    module(tmp_path, ONE.format(name="traffic"))
    settings = loaded(tmp_path, "slos: {modules: [own.py]}")
    before = load_registry(settings).hash_of("traffic")
    assert load_registry(settings).hash_of("traffic") == before

    module(tmp_path, ONE.format(name="traffic") + "    # another line\n")

    assert load_registry(settings).hash_of("traffic") != before


def test_a_file_has_one_definition_wherever_it_lies(tmp_path: Path) -> None:
    hashes = set[str]()
    for folder in (tmp_path / "a", tmp_path / "b"):
        folder.mkdir()
        module(folder, ONE.format(name="traffic"))
        hashes.add(load_registry(loaded(folder, "slos: {modules: [own.py]}")).hash_of("traffic"))

    assert len(hashes) == 1


def test_a_user_slo_has_parameters_like_a_built_in_one(tmp_path: Path) -> None:
    module(tmp_path, WITH_PARAMETERS)

    found = entries(tmp_path, "slos: {modules: [own.py], traffic: {parameters: {least: 25}}}")["traffic"]

    assert found.slo.objective.limit == 25
    assert [p.name for p in found.parameters] == ["least"]
    assert found.chosen == {"least": 25}


def test_an_installed_module_is_named_as_it_is_imported(tmp_path: Path, site: Path) -> None:
    module(site, ONE.format(name="traffic"), "own_module.py")

    assert entries(tmp_path, "slos: {modules: [own_module]}")["traffic"].origin == "module own_module"


@pytest.mark.parametrize(
    ("target", "more"), [("own_package", ""), ("own_package:slo", ""), ("own_package:promises", "promises = [slo]\n")]
)
def test_an_entry_point_may_name_a_module_an_slo_or_several(tmp_path: Path, site: Path, target: str, more: str) -> None:
    module(site, dedent(ONE.format(name="traffic")) + more, "own_package.py")
    distribution(site, f"traffic = {target}")

    assert entries(tmp_path, "")["traffic"].origin == "entry point traffic of package own-promises"


def test_a_declared_slo_needs_no_code(tmp_path: Path) -> None:
    entry = "{name: tail, metric: mce_ew15, operator: '<=', fail: 0.2, warn: 0.1, slices: 'language=*'}"

    found = entries(tmp_path, f"slos: {{define: [{entry}]}}")["tail"]

    assert found.origin == "settings"
    assert (found.slo.objective.limit, found.slo.objective.warn, found.slo.slices) == (0.2, 0.1, "language=*")
    assert found.slo.needs == {"score", "label"}


def test_disabled_slos_of_every_origin_are_gone(tmp_path: Path, site: Path) -> None:
    module(tmp_path, ONE.format(name="by_file"))
    module(site, ONE.format(name="by_package"), "own_package.py")
    distribution(site, "point = own_package")
    text = """\
        slos:
          modules: [own.py]
          define: [{name: declared, metric: n, operator: '>', fail: 1}]
          disable: [by_file, by_package, declared, ece_bound]
    """

    assert set(entries(tmp_path, text)) == set(builtin().names) - {"ece_bound"}


def test_a_broken_entry_point_can_be_switched_off(tmp_path: Path, site: Path) -> None:
    distribution(site, "broken = own_absent:slo")

    with pytest.raises(
        PluginError, match=r"entry point broken of package own-promises: .*; or write slos.disable: \[broken\]"
    ):
        entries(tmp_path, "")
    assert set(entries(tmp_path, "slos: {disable: [broken]}")) == set(builtin().names)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"it exports no SLO; it needs a line `slo = SLO\(\.\.\.\)` or `slos = "),
        ("slo = 5", "exports no SLO; it needs a line"),
        ("slos = [5, 'x']", "it exports int, str where an SLO belongs"),
        ("slos = 5", "it exports int where an SLO belongs"),
        (
            "x = 1\ny = x / 0",
            r"it fails on import with ZeroDivisionError: division by zero \(own.py, line 2\); correct it",
        ),
        ("import absent_thing", "it fails on import with ModuleNotFoundError: No module named 'absent_thing'"),
        ("x = (", "it fails on import with SyntaxError"),
        ("raise SystemExit(1)", "it fails on import with SystemExit"),
        (ONE.format(name="Bad-Name"), "lower case letters"),
        (ONE.format(name="ece_bound"), r"the name 'ece_bound' is taken \(built in\); give the SLO another one"),
    ],
)
def test_a_file_that_brings_no_slo_is_told_with_the_way_out(tmp_path: Path, text: str, told: str) -> None:
    module(tmp_path, text)

    with pytest.raises(PluginError, match=told) as caught:
        entries(tmp_path, "slos:\n  modules:\n  - own.py\n")

    assert "module own.py: " in str(caught.value)
    assert not [name for name in sys.modules if name.endswith("own_absent")]


@pytest.mark.parametrize(
    ("name", "told"),
    [
        (
            "absent.py",
            r"calslo\.yaml:3: slos\.modules\[0\]: module absent\.py: there is no file .*absent\.py; write its path",
        ),
        ("own_absent", "it cannot be imported; install its package, or write the path of its .py file"),
        ("own_absent.deeper", "it cannot be imported; install its package"),
        ("folder/file.txt", "there is no file"),
        ("./data.txt", "is no Python file; rename it so that it ends in .py"),
    ],
)
def test_a_module_that_is_not_there_is_told_with_line_and_way_out(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "data.txt").write_text("")

    with pytest.raises(PluginError, match=told):
        entries(tmp_path, f"slos:\n  modules:\n  - {name}\n")


def test_every_broken_module_is_told_at_once(tmp_path: Path) -> None:
    module(tmp_path, "slo = 5")

    with pytest.raises(PluginError) as caught:
        entries(tmp_path, "slos:\n  modules: [own.py, absent.py]\n")

    assert [line.split(": ")[2] for line in str(caught.value).splitlines()] == ["module own.py", "module absent.py"]


def test_settings_of_a_users_slo_are_refused_at_their_line(tmp_path: Path) -> None:
    module(tmp_path, ONE.format(name="traffic"))

    with pytest.raises(
        SettingsError, match=r"calslo\.yaml:3: slos\.traffic\.fail: the fail limit of at least -1 can never"
    ):
        entries(tmp_path, "slos:\n  modules: [own.py]\n  traffic: {fail: -1}\n")


def test_the_hash_of_a_definition_follows_the_settings(tmp_path: Path) -> None:
    shipped = builtin().find("clamp_activation")
    changed = load_registry(loaded(tmp_path, "slos: {clamp_activation: {fail: 0.2}}")).find("clamp_activation")

    assert definition_hash(changed) != definition_hash(shipped)
