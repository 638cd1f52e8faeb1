"""A route, mute or template that would never apply, or to everything, is a mistake with its line and the way out."""

from pathlib import Path

import pytest

from calslo_dagster.errors import SettingsError
from calslo_dagster.plugins import load_registry
from calslo_dagster_tests.settings.files import loaded, mistakes

ROUTE = "slices: {{columns: [country]}}\nalerting:\n  routes:\n    - {{match: ['{}'], policy: default}}\n"
MUTE = """\
slices: {{columns: [country]}}
alerting:
  mutes:
    - {{name: m, source: ['{}'], target: ['{}'], equal: [{}]}}
"""
PLACE = "calslo.yaml:4: alerting.routes[0].match[0]: "
MUTES = "calslo.yaml:4: alerting.mutes[0]."
LABELS = "kind, slo, model, environment, severity"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (ROUTE.format('sloo="x"'), [f"{PLACE}no label is named 'sloo'; did you mean 'slo'?"]),
        (
            ROUTE.format('slice="country=de"'),
            [f"{PLACE}an incident has no label 'slice', only its slices have; match {LABELS}"],
        ),
        (
            ROUTE.format('country="de"'),
            [f"{PLACE}an incident has no label 'country', only its slices have; match {LABELS}"],
        ),
        (
            ROUTE.format('severity="hgih"'),
            [f"{PLACE}no severity is named 'hgih'; there is info, warning, critical, emergency."],
        ),
        (ROUTE.format('kind!="brech"'), [f"{PLACE}no kind is named 'brech'; did you mean 'breach'?"]),
        (
            ROUTE.format('kind=~"silence|quiet"'),
            [f'{PLACE}kind=~"silence|quiet" speaks of no kind there is; there is blind, breach, burn, pipeline.'],
        ),
        (ROUTE.format('severity=~"crit.*"'), []),
        (ROUTE.format('model="checkout, eu"'), []),
        (MUTE.format('country="de"', 'slice!="*"', "slice, country, kind"), []),
        (
            MUTE.format("kind=breach", "kind=burn", "modle"),
            [f"{MUTES}equal[0]: no label is named 'modle'; did you mean 'model'?"],
        ),
        (
            MUTE.format("knd=breach", "kind=burn", "slo"),
            [f"{MUTES}source[0]: no label is named 'knd'; did you mean 'kind'?"],
        ),
        (
            MUTE.format("kind=breach", "contry=de", "slo"),
            [f"{MUTES}target[0]: no label is named 'contry'; did you mean 'country'?"],
        ),
        (
            "alerting:\n  templates:\n    triggr: {title: x}\n",
            ["calslo.yaml:3: alerting.templates.triggr: no message does this; did you mean trigger?"],
        ),
        ("alerting: {templates: {all: {title: x}, digest: {text: y}}}", []),
    ],
)
def test_what_does_not_exist_is_a_mistake(tmp_path: Path, text: str, expected: list[str]) -> None:
    assert mistakes(tmp_path, text) == expected


@pytest.mark.parametrize("text", [ROUTE.format('slo="ece_bond"'), MUTE.format('slo!="ece_bond"', "kind=burn", "slo")])
def test_an_slo_that_does_not_exist_is_a_mistake_once_all_slos_are_known(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"calslo.yaml:4: .*no SLO is named 'ece_bond'; did you mean 'ece_bound'"):
        load_registry(loaded(tmp_path, text))


@pytest.mark.parametrize("name", ["ece_bound", "mine", "p99_latency", "evaluation", "delivery:log", "job:minute_job"])
def test_slos_of_every_origin_and_components_of_ours_may_be_named(tmp_path: Path, name: str) -> None:
    slos = (
        "slos: {define: [{name: mine, title: Mine, metric: brier, operator: '<=', fail: 0.2}], disable: [p99_latency]}"
    )

    assert load_registry(loaded(tmp_path, f"{ROUTE.format(f'slo={name}')}{slos}\n"))


def test_patterns_of_slos_are_left_to_whoever_wrote_them(tmp_path: Path) -> None:
    assert load_registry(loaded(tmp_path, ROUTE.format('slo=~"risk_.*"')))
