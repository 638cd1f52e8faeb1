"""The registry finds every built-in SLO by itself and refuses names it cannot tell apart."""

import re
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest

from calslo_dagster.errors import PluginError, SettingsError
from calslo_dagster.slo import builtin as package
from calslo_dagster.slo.parameters import described
from calslo_dagster.slo.registry import Recipe, Registry, builtin, recipe_of, recipes
from calslo_dagster_tests.slo.samples import an_slo

COLUMNS = {"score", "label", "latency_us", "clamped", "clamp_alpha", "weight", "raw_score", "mask_id"}


def test_every_file_of_the_builtin_folder_is_an_slo_of_the_same_name() -> None:
    files = {path.stem for path in Path(package.__path__[0]).glob("*.py")} - {"__init__"}

    assert set(builtin().names) == files
    assert {"ece_bound", "clamp_activation", "merged_bins", "p99_latency", "weekly_drift", "score_range"} < files


def test_builtin_slos_say_what_they_promise_and_what_to_do() -> None:
    for slo in builtin():
        assert len(slo.title) > 10
        assert slo.description.endswith(".")
        assert len(slo.runbook) > 100
        assert slo.needs <= COLUMNS
        assert "score" in slo.needs


def test_every_parameter_of_a_builtin_slo_is_documented_and_built_with_its_default() -> None:
    for recipe in recipes().values():
        if recipe.parameters is None or recipe.build is None:
            continue
        assert all(p.text.endswith(".") for p in described(recipe.parameters))
        defaults = {p.name: p.default for p in described(recipe.parameters)}
        assert Registry([recipe.made(defaults)]).hash_of(recipe.slo.name) == builtin().hash_of(recipe.slo.name)


def test_parameters_from_settings_rebuild_one_slo_and_change_its_hash() -> None:
    plain, changed = builtin(), builtin({"ece_bound": {"c": 0.53, "floor": 0.02}})

    assert changed.find("ece_bound").objective.at_most == 0.02
    assert changed.hash_of("ece_bound") != plain.hash_of("ece_bound")
    assert changed.hash_of("merged_bins") == plain.hash_of("merged_bins")
    assert changed.names == plain.names


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"ece_bond": {"c": 1}}, "no built-in SLO is named 'ece_bond'; did you mean 'ece_bound'?"),
        ({"ece_bound": {"k": 1}}, "no parameter of ece_bound is named 'k'"),
        ({"score_range": {"c": 1}}, "score_range has no parameters, but c is given"),
        ({"ece_bound": {"c": -1.0}}, "ece_bound: c and floor are above 0"),
        ({"merged_bins": {"bins": 1}}, "bins is at least 2"),
        ({"p99_latency": {"limit_us": 0}}, "limit_us is above 0"),
        ({"weekly_drift": {"limit": 0.0}}, "limit is above 0"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(parameters: dict[str, dict[str, float]], message: str) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)):
        builtin(parameters)


def test_an_unknown_name_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(SettingsError, match="no SLO is named 'p99'; did you mean 'p99_latency'"):
        builtin().find("p99")
    with pytest.raises(SettingsError, match="there is ece_only"):
        Registry([an_slo(name="ece_only")]).find("zzz")


def test_a_registry_keeps_its_order() -> None:
    registry = Registry([an_slo(name="second"), an_slo(name="first")])

    assert registry.names == ("second", "first")
    assert [slo.name for slo in registry] == ["second", "first"]
    assert len(registry) == 2
    assert "first" in registry
    assert "third" not in registry


def test_two_slos_of_one_name_are_refused() -> None:
    with pytest.raises(PluginError, match="two SLOs are named 'sample'"):
        Registry([an_slo(), an_slo()])


def test_every_unsound_definition_is_told_at_once() -> None:
    with pytest.raises(PluginError) as error:
        Registry([an_slo(name="a", target=99.0), replace(an_slo(name="b"), open_after=0)])

    assert len(str(error.value).splitlines()) == 2


def test_a_users_module_is_read_like_a_builtin_one() -> None:
    module = ModuleType("mine")
    module.slo = an_slo()  # type: ignore[attr-defined] # a module takes any attribute

    assert recipe_of(module) == Recipe(module.slo)


def test_a_module_without_an_slo_is_refused() -> None:
    with pytest.raises(PluginError, match="mine exports no SLO"):
        recipe_of(ModuleType("mine"))
