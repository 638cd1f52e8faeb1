"""What matchers may speak of: labels that there are, and values that are known."""

import pytest

from calslo_dagster.alerting.labels import ALERT, CLOSED, Vocabulary, components, mistakes_in, named, unknown_value
from calslo_dagster.alerting.matchers import Matcher

KNOWN = {"slo": ("ece_bound", *components(["log", "chat"])), "country": ("de", "fr", "")}


@pytest.mark.parametrize(
    "text",
    [
        "slo=ece_bound",
        "slo=~ece_.*",
        "slo!~ece_.*",
        "slo=evaluation",
        "slo=delivery:chat",
        "slo=job:minute_job",
        "slo=~job:.*",
        "country=de",
        "country=",
        "country!=",
        "country=~d.|x",
        "model=anything",
    ],
)
def test_a_value_that_is_known_passes(text: str) -> None:
    assert unknown_value(Matcher.parse(text), KNOWN) == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("slo=ece_bond", "no SLO is named 'ece_bond'; did you mean 'ece_bound'?"),
        ("slo!=delivery:chatt", "no SLO is named 'delivery:chatt'; did you mean 'delivery:chat'?"),
        ("country=~x.*", 'country=~"x.*" speaks of no country there is; there is de, fr.'),
        ("country=xx", "no country is named 'xx'; there is de, fr."),
    ],
)
def test_a_value_that_is_not_known_is_told_with_the_nearest_one(text: str, says: str) -> None:
    assert unknown_value(Matcher.parse(text), KNOWN) == says


def test_many_values_are_counted_instead_of_listed() -> None:
    many = {"country": [f"c{n:03}" for n in range(1_000)]}

    assert unknown_value(Matcher.parse("country=~x.*"), many).endswith("c018, c019 and 980 more.")
    assert len(unknown_value(Matcher.parse("country=~x.*"), many)) < 300


def test_kinds_and_severities_are_never_empty() -> None:
    matchers = [Matcher.parse(text) for text in ("kind=", "severity=~.*", "sevrity=info")]

    found = mistakes_in(matchers, Vocabulary(ALERT, CLOSED))

    assert found == [
        "no kind is named ''; there is breach, blind, burn, pipeline.",
        "no label is named 'sevrity'; did you mean 'severity'?",
    ]


def test_an_incident_is_named_by_what_it_has() -> None:
    assert named({"kind": "breach", "slo": "a", "model": "m", "environment": "prod"}) == "breach of a, m, prod"
    assert named({"kind": "pipeline", "slo": "evaluation", "model": "", "environment": ""}) == "pipeline of evaluation"
