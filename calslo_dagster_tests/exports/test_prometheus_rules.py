"""The rules are those of the SLOs as they are, and Prometheus itself says what they do."""

from collections import Counter
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from runpy import run_path
from typing import Any, Final

import pytest
import yaml

from calslo_dagster.exports.prometheus_rules import Stepped, rules_yaml
from calslo_dagster.slo.budget import Tier
from calslo_dagster.slo.model import Severity
from calslo_dagster.slo.windows import DAY, STEP, WEEK
from calslo_dagster_tests.exports.tools import ROOT, promtool
from calslo_dagster_tests.logs import HOUR
from calslo_dagster_tests.slo.samples import an_slo

FOLDER: Final = ROOT / "deploy" / "prometheus"
RULES: Final = FOLDER / "calslo.rules.yaml"
SCENES: Final = FOLDER / "calslo.rules.test.yaml"


def rules_of(text: str) -> list[dict[str, Any]]:
    return [rule for group in yaml.safe_load(text)["groups"] for rule in group["rules"]]


def burns(text: str) -> dict[tuple[str, str], str]:
    """Return the expression of each burn rate rule by SLO and tier."""
    found = [rule for rule in rules_of(text) if rule.get("alert") == "CalsloBudgetBurn"]
    return {(rule["labels"]["slo"], rule["labels"]["tier"]): rule["expr"] for rule in found}


@pytest.mark.parametrize("name", ["prometheus/calslo.rules.yaml", "grafana/calslo.json"])
def test_the_committed_files_are_what_the_code_writes(name: str) -> None:
    files = run_path(str(ROOT / "docs" / "make_monitoring.py"))["FILES"]

    assert (ROOT / "deploy" / name).read_text(encoding="utf-8") == files[name](), "run `make docs`"


def test_promtool_takes_the_rules() -> None:
    checked = promtool("check", "rules", RULES)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_each_alert_fires_when_it_must_and_not_otherwise() -> None:
    tried = promtool("test", "rules", SCENES)

    assert tried.returncode == 0, tried.stdout + tried.stderr


def test_no_alert_is_without_a_scene_where_it_fires_and_one_where_it_does_not() -> None:
    scenes = [test for one in yaml.safe_load(SCENES.read_text())["tests"] for test in one["alert_rule_test"]]
    seen = Counter((test["alertname"], bool(test.get("exp_alerts"))) for test in scenes)

    alerts = {rule["alert"] for rule in rules_of(RULES.read_text()) if "alert" in rule}

    assert {(alert, fires) for alert in alerts for fires in (True, False)} == set(seen)


def test_each_alert_says_what_is_wrong_and_what_to_do() -> None:
    for rule in rules_of(RULES.read_text()):
        if "alert" in rule:
            assert rule["labels"]["severity"] in set(Severity)
            assert all(rule["annotations"][part] for part in ("summary", "next_step"))


def test_burn_rates_are_fitted_to_target_and_step() -> None:
    loose = an_slo(name="loose", target=0.9)
    tight = an_slo(name="tight", target=0.999)
    found = burns(rules_yaml([Stepped(loose, STEP), Stepped(tight, HOUR)]))

    # Ten times a tenth is everything, so that 13.44 times can never be reached.
    assert ("loose", "page_fast") not in found
    assert "> 0.56 and " in found["loose", "page_slow"]
    assert "ratio_increase6h" in found["tight", "page_slow"]
    assert "ratio_increase2h{" in found["tight", "page_slow"], "the short window holds two of the SLO's own"


def test_an_slo_that_is_measured_once_a_week_has_no_burn_rate() -> None:
    assert burns(rules_yaml([Stepped(an_slo(), WEEK)])) == {}


def test_own_tiers_periods_and_lateness_are_followed() -> None:
    tier = Tier("mine", Fraction(1, 2), timedelta(hours=12), timedelta(hours=3))
    text = rules_yaml([Stepped(an_slo(), STEP)], lateness=HOUR, period=7 * DAY, tiers=[tier])

    assert burns(text)["sample", "mine"] == (
        'slo:calslo_evaluations_bad:ratio_increase12h{slo="sample"} > 0.07 and '
        'slo:calslo_evaluations_bad:ratio_increase3h{slo="sample"} > 0.07'
    )
    assert "interval_seconds + 3600" in text


def test_breaches_carry_the_severity_of_their_slo(tmp_path: Path) -> None:
    slos = [an_slo(name="b", severity=Severity.INFO), an_slo(name="a", severity=Severity.INFO), an_slo(name="c")]
    text = rules_yaml([Stepped(slo, STEP) for slo in slos])
    (tmp_path / "own.yaml").write_text(text)

    found = {
        rule["labels"]["severity"]: rule["expr"] for rule in rules_of(text) if rule.get("alert") == "CalsloBreached"
    }

    assert found["info"] == 'calslo_status{status="breached",slo=~"a|b"} == 1'
    assert found["critical"] == 'calslo_status{status="breached",slo=~"c"} == 1'
    assert promtool("check", "rules", tmp_path / "own.yaml").returncode == 0
