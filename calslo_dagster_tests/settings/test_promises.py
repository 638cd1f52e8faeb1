"""Section `slos` changes SLOs as it says, and what can never or always fire is refused at its key."""

from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.errors import CalsloError
from calslo_dagster.plugins import load_registry
from calslo_dagster.settings import load_settings
from calslo_dagster.settings.promises import _UNBOUNDED_METRICS
from calslo_dagster.slo.metrics import METRICS
from calslo_dagster.slo.model import SLO, Cadence, Limits, Operator, Override
from calslo_dagster_tests.settings.files import FULL, loaded


def registered(folder: Path, text: str) -> dict[str, SLO]:
    return {slo.name: slo for slo in load_registry(loaded(folder, text))}


def refused(folder: Path, text: str) -> list[str]:
    try:
        registered(folder, text)
    except CalsloError as error:
        return [line.removeprefix(f"{folder}/") for line in str(error).splitlines()]
    return []


def test_the_full_example_changes_what_it_names() -> None:
    slos = {slo.name: slo for slo in load_registry(load_settings(FULL, {}))}
    ece, clamp, slope = slos["ece_bound"], slos["clamp_activation"], slos["slope_range"]

    assert "merged_bins" not in slos
    assert (ece.min_events, ece.target, ece.owner, ece.objective.limit) == (500, 0.95, "risk-ml", 0.02)
    assert ece.overrides == (Override(0.05, 0.04, "language=ja*", "search-*"),)
    assert (clamp.objective.limit, clamp.objective.warn, clamp.window) == (0.2, None, timedelta(hours=6))
    assert (clamp.open_after, clamp.close_after, clamp.slices) == (2, 4, "intent=*")
    assert slope.objective.operator is Operator.WITHIN
    assert (slope.objective.limit, slope.objective.warn) == ((0.7, 1.4), (0.8, 1.2))
    assert slos["busy_panes"].pane == timedelta(hours=1)
    assert (slos["weekly_brier"].cadence, slos["weekly_brier"].window) == (Cadence.WEEKLY, timedelta(days=7))


def test_nothing_said_changes_nothing(tmp_path: Path) -> None:
    """Also the hash of every definition stays, so that history is not recomputed for an empty file."""
    from calslo_dagster.slo.registry import builtin

    registry = load_registry(loaded(tmp_path, ""))

    assert {name: registry.hash_of(name) for name in registry.names} == {
        name: builtin().hash_of(name) for name in builtin().names
    }


def test_fail_sets_the_limit_that_the_arithmetic_of_the_slo_uses(tmp_path: Path) -> None:
    by_fail = registered(tmp_path, "slos: {weekly_drift: {fail: 0.02}}")["weekly_drift"]
    by_parameter = registered(tmp_path, "slos: {weekly_drift: {parameters: {limit: 0.02}}}")["weekly_drift"]

    assert by_fail.objective.limit == 0.02
    assert by_fail == by_parameter or by_fail.sli.keywords == by_parameter.sli.keywords  # type: ignore[attr-defined]  # both are partials


def test_the_latency_limit_of_the_log_is_that_of_the_slo(tmp_path: Path) -> None:
    slo = registered(tmp_path, "latency_limit_us: 2000")["p99_latency"]

    assert slo.objective.limit == 2000


def test_a_fixed_limit_replaces_a_computed_one(tmp_path: Path) -> None:
    from calslo_dagster.slo.limits import limits_for
    from calslo_dagster_tests.slo.samples import NOTHING

    slo = registered(tmp_path, "slos: {ece_bound: {fail: 0.03, warn: none}}")["ece_bound"]

    assert limits_for(slo, NOTHING, "*", "") == Limits(0.03, None)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slos: {ece_bond: {target: 0.9}}", "1: slos.ece_bond: no SLO has this name; did you mean ece_bound?"),
        ("slos: {modles: {}}", "1: slos.modles: no SLO has this name; did you mean modules?"),
        ("slos: {disable: [ece_bond]}", "1: slos.disable[0]: no SLO is named 'ece_bond'; did you mean ece_bound?"),
        (
            "exclusions:\n  - {from: 2026-01-01, to: 2026-01-02, slos: [ece_bund], reason: x, author: y}",
            "2: exclusions[0].slos: 'ece_bund' matches no SLO; did you mean ece_bound?",
        ),
        ("slos: {ece_bound: {fail: 1.5}}", "1: slos.ece_bound.fail: the fail limit is 1.5, and values lie between 0"),
        ("slos: {ece_bound: {fail: 1.5}}", "it can never fire; write 0.015 for 1.5 %"),
        ("slos: {ece_bound: {fail: 1}}", "it can never fire"),
        ("slos: {ece_bound: {fail: 0}}", "it would always fire"),
        ("slos: {ece_bound: {warn: -0.1}}", "slos.ece_bound.warn: the warn limit is -0.1"),
        ("slos: {ece_bound: {parameters: {floor: 2}}}", "1: slos.ece_bound.parameters: the fail limit is 2"),
        (
            "slos: {ece_bound: {parameters: {floor: 0}}}",
            "slos.ece_bound.parameters: ece_bound: c and floor are above 0",
        ),
        ("slos: {ece_bound: {parameters: {flor: 0.1}}}", "slos.ece_bound.parameters.flor: no parameter of ece_bound"),
        ("slos: {ece_bound: {parameters: {c: x}}}", "1: slos.ece_bound.parameters.c: ece_bound.c is a float, not 'x'"),
        ("slos: {score_range: {parameters: {c: 1}}}", "slos.score_range.parameters"),
        ("slos:\n  clamp_activation:\n    fail: 10", "3: slos.clamp_activation.fail: the fail limit of at most 10"),
        ("slos:\n  clamp_activation:\n    fail: 10", "can never be missed: values lie in 0 to 1; write 0.1 for 10 %"),
        ("slos: {clamp_activation: {warn: 0.2}}", "slos.clamp_activation.warn: the warn limit, 0.2, is not stricter"),
        ("slos: {clamp_activation: {fail: [0, 1]}}", "which does not fit the operator <="),
        (
            "slos:\n  clamp_activation:\n    overrides:\n    - {slices: 'language=en', fail: 5}",
            "4: slos.clamp_activation.overrides[0]: the fail limit of language=en",
        ),
        ("slos: {ece_bound: {overrides: [{slices: '*', fail: 3}]}}", "slos.ece_bound.overrides: the fail limit is 3"),
        ("slos: {weekly_drift: {window: 24h}}", "slos.weekly_drift.window: a weekly SLO has a window of 7 days"),
        ("slos: {weekly_drift: {fail: 0.1, parameters: {limit: 0.2}}}", "says something else than fail, 0.1; keep one"),
        ("slos: {weekly_drift: {fail: 3}}", "it can never fire; write 0.03 for 3 %"),
        ("slos: {clamp_alpha: {fail: 5}}", "it can never fire; write 0.05 for 5 %"),
        ("slos: {p99_latency: {parameters: {limit_us: 500}}}", "the log counts slow events at latency_limit_us, 1000"),
        ("slos: {merged_bins: {target: 0.5}}", "1: slos.merged_bins.target: no tier of burn rate alerts can fire"),
        (
            "burn:\n  tiers:\n  - {name: dead, share: 1.0, long: 30m, short: 15m}\n"
            "slos: {disable: [score_range, p99_latency]}",
            "3: burn.tiers[0]: is of no use to any SLO: it can never fire",
        ),
    ],
)
def test_what_cannot_work_is_refused_at_its_key(tmp_path: Path, text: str, told: str) -> None:
    assert any(told in line for line in refused(tmp_path, text)), refused(tmp_path, text)


def definition(**changes: str) -> str:
    entry = {"name": "own", "metric": "ece_em15", "operator": "'<='", "fail": "0.05", **changes}
    return "slos:\n  define:\n  - {" + ", ".join(f"{key}: {value}" for key, value in entry.items()) + "}\n"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"metric": "ece_em16"}, "define[0].metric: no metric is named 'ece_em16'; did you mean 'ece_em15'?"),
        ({"fail": "1.0"}, "define[0].fail: the fail limit is 1, and values lie between 0 and 1: it can never fire"),
        ({"fail": "0"}, "define[0].fail: the fail limit is 0, and values lie between 0 and 1: it would always fire"),
        ({"operator": "'>='", "fail": "0"}, "it can never fire"),
        ({"operator": "'>='", "fail": "1"}, "it would always fire"),
        (
            {"metric": "clamp_rate", "operator": "'>='", "fail": "0"},
            "define[0].fail: the fail limit of at least 0 can never",
        ),
        ({"metric": "clamp_rate", "fail": "-1"}, "can never be met"),
        ({"operator": "within"}, "define[0].fail: the fail limit is 0.05, which does not fit the operator within"),
        ({"warn": "0.06"}, "define[0].warn: the warn limit, 0.06, is not stricter than the fail limit, 0.05"),
        ({"cadence": "weekly", "window": "24h"}, "define[0].window: a weekly SLO has a window of 7 days"),
        ({"name": "score_range"}, "define[0].name: 'score_range' is taken (built in)"),
        ({"name": "Own"}, "define[0].name: 'Own' must start with a small letter"),
        ({"min_events": "0"}, "define[0].min_events: must be at least 1, got 0"),
        ({"aggregation": "avg"}, "define[0].aggregation: 'avg' is none of window, mean"),
        ({"pane": "7h", "aggregation": "max"}, "define[0].pane: pane is a multiple of 0:15:00 that divides the window"),
    ],
)
def test_a_definition_that_cannot_work_is_refused_at_its_key(
    tmp_path: Path, changes: dict[str, str], told: str
) -> None:
    (line,) = refused(tmp_path, definition(**changes))

    assert line.startswith("calslo.yaml:3: slos.define[0]")
    assert told in line


@pytest.mark.parametrize(
    "changes", [{"metric": "log_loss", "fail": "1.5"}, {"metric": "slope", "operator": "'>'", "fail": "0"},
                {"aggregation": "sum", "fail": "3"}, {"operator": "'=='", "fail": "0"}],
)  # fmt: skip
def test_limits_that_some_model_can_reach_are_accepted(tmp_path: Path, changes: dict[str, str]) -> None:
    assert refused(tmp_path, definition(**changes)) == []


def test_two_definitions_of_one_name_are_refused(tmp_path: Path) -> None:
    entry = "  - {name: own, metric: n, operator: '>', fail: 1}\n"

    assert refused(tmp_path, f"slos:\n  define:\n{entry}{entry}") == [
        "calslo.yaml:2: slos.define: two SLOs are named own; rename one"
    ]


def test_a_definition_is_changed_where_it_stands(tmp_path: Path) -> None:
    (line,) = refused(tmp_path, definition() + "  own: {fail: 0.1}\n")

    assert line == "calslo.yaml:4: slos.own: own is defined in slos.define; change it there and remove this section"


def test_mistakes_of_all_slos_are_told_at_once_and_by_line(tmp_path: Path) -> None:
    text = "slos:\n  p99_latency: {warn: 2000}\n  clamp_activation: {fail: 7}\n  ece_bond: {}\n"

    assert [line.split(": ")[0] for line in refused(tmp_path, text)] == [f"calslo.yaml:{n}" for n in (2, 3, 4)]


def test_the_metrics_without_bounds_exist() -> None:
    assert set(METRICS) > _UNBOUNDED_METRICS
