"""Evidence mode in the settings: for all SLOs or one, with a share of the false alarms, refused where it cannot be."""

from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.errors import CalsloError
from calslo_dagster.plugins import load_registry
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.trials import USUAL_RATES, AlarmRates, Certain, Counts, Interval, Mode, Rate
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.settings.files import loaded, mistakes
from calslo_dagster_tests.slo.watched import shared

FEED = "sources: [{name: log, paths: [log/], labels: {paths: [labels/]}}]"
PLAIN = "sources: [{name: log, paths: [log/]}]"


def registered(folder: Path, text: str) -> dict[str, SLO]:
    return {slo.name: slo for slo in load_registry(loaded(folder, text))}


def refused(folder: Path, text: str) -> str:
    with pytest.raises(CalsloError) as caught:
        registered(folder, text)
    return str(caught.value).replace(f"{folder}/", "")


def test_without_a_word_every_slo_judges_windows_by_their_value(tmp_path: Path) -> None:
    slos = registered(tmp_path, "")

    assert {slo.mode for slo in slos.values()} == {Mode.THRESHOLD}
    assert {slo.alarms for slo in slos.values()} == {USUAL_RATES}


def test_one_slo_may_have_a_mode_of_its_own(tmp_path: Path) -> None:
    one = registered(tmp_path, "slos: {ece_bound: {mode: evidence}}")
    others = registered(tmp_path, "slos: {mode: evidence, ece_bound: {mode: threshold}}")

    assert [name for name, slo in one.items() if slo.mode is Mode.EVIDENCE] == ["ece_bound"]
    assert [name for name, slo in others.items() if slo.mode is Mode.THRESHOLD] == ["ece_bound"]


def test_defined_slos_have_the_mode_of_the_section_or_their_own(tmp_path: Path) -> None:
    entry = "metric: clamp_rate, operator: '<=', fail: 0.2"
    text = f"slos: {{mode: evidence, define: [{{name: a, {entry}}}, {{name: b, mode: threshold, {entry}}}]}}"
    slos = registered(tmp_path, text)

    assert (slos["a"].mode, slos["b"].mode) == (Mode.EVIDENCE, Mode.THRESHOLD)


def test_metrics_that_count_hits_are_rates_and_others_go_by_their_interval(tmp_path: Path) -> None:
    text = """\
        slos:
          define:
            - {name: clamped, metric: clamp_rate, operator: "<=", fail: 0.2}
            - {name: slow, metric: slow_rate, operator: "<", fail: 0.01}
            - {name: floor, metric: clamp_rate, operator: ">=", fail: 0.2}
            - {name: score, metric: brier, operator: "<=", fail: 0.2}
            - {name: weekly, metric: clamp_rate, operator: "<=", fail: 0.2, cadence: weekly}
    """
    slos = registered(tmp_path, text)
    rates = {name: slo.trial for name, slo in slos.items() if isinstance(slo.trial, Rate)}

    assert {"clamped", "slow"} <= set(rates)
    assert all(isinstance(slos[name].trial, Interval) for name in ("floor", "score", "weekly"))
    assert rates["clamped"].counts(shared(7)) == Counts(7, 100)
    assert rates["slow"].counts(Snapshot()) == Counts(0, 0)


def test_false_alarms_are_shared_equally_by_the_slos_that_can_have_any(tmp_path: Path) -> None:
    slos = registered(tmp_path, "{slos: {mode: evidence}, evidence: {false_breaches: 2, false_warnings: 6}}")
    sharing = [slo for slo in slos.values() if not isinstance(slo.trial, Certain)]
    certain = [slo for slo in slos.values() if isinstance(slo.trial, Certain)]

    assert {slo.alarms for slo in sharing} == {AlarmRates(2 / len(sharing), 6 / len(sharing))}
    assert {slo.alarms for slo in certain} == {USUAL_RATES}
    assert certain


def test_a_single_slo_has_all_false_alarms_to_itself(tmp_path: Path) -> None:
    slos = registered(tmp_path, "{slos: {ece_bound: {mode: evidence}}, evidence: {false_breaches: 0.5}}")

    assert slos["ece_bound"].alarms == AlarmRates(0.5, 4.0)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("metric: brier, operator: '<=', fail: 0.2, aggregation: p95", "which nobody knows of this one"),
        ("metric: clamp_rate, operator: '<=', fail: 0", "takes a limit above 0"),
    ],
)
def test_what_has_no_evidence_is_refused_at_its_line(tmp_path: Path, entry: str, told: str) -> None:
    text = f"slos:\n  mode: evidence\n  define:\n    - {{name: own, {entry}}}\n"
    found = refused(tmp_path, text)

    assert found.startswith("calslo.yaml:4")
    assert told in found
    assert "write mode: threshold" in found
    assert "own" in registered(tmp_path, text.replace("name: own", "name: own, mode: threshold"))


def test_a_latency_of_some_slices_alone_is_refused(tmp_path: Path) -> None:
    text = "slos:\n  p99_latency:\n    mode: evidence\n    overrides: [{slices: 'intent=*', fail: 2000}]\n"
    found = refused(tmp_path, text)

    assert found.startswith("calslo.yaml:")
    assert "one limit in all slices; remove overrides, or write mode: threshold" in found


@pytest.mark.parametrize(
    "text",
    ["slos: {mode: guess}", "slos: {ece_bound: {mode: often}}", "evidence: {false_breaches: 0}", "evidence: {x: 1}"],
)
def test_modes_and_budgets_that_do_not_exist_are_refused(tmp_path: Path, text: str) -> None:
    assert len(mistakes(tmp_path, text)) == 1
    assert mistakes(tmp_path, text)[0].startswith("calslo.yaml:1")


@pytest.mark.parametrize(
    ("text", "hours"),
    [
        ("", 12),
        (FEED, 24),
        (PLAIN, 0),
        ("label_maturity: 0s", 0),
        ("label_maturity: 6h", 6),
        (f"label_maturity: 7h\n{FEED}", 7),
    ],
)
def test_labels_mature_in_a_day_with_a_feed_and_at_once_without(tmp_path: Path, text: str, hours: int) -> None:
    assert loaded(tmp_path, text).label_maturity == timedelta(hours=hours)


def test_maturity_counts_in_whole_panes(tmp_path: Path) -> None:
    assert loaded(tmp_path, "label_maturity: 61m").label_maturity == timedelta(minutes=75)
