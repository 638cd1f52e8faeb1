"""The definition hash changes with what decides a verdict and with nothing else."""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import Any

import pytest

from calslo_dagster.slo.definition import definition, definition_hash
from calslo_dagster.slo.model import Evidence, Limits, Objective, Override
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster_tests.slo.samples import an_slo


@dataclass(frozen=True, slots=True)
class Share:
    """An indicator with parameters that is not a plain function."""

    scale: float

    def __call__(self, evidence: Evidence) -> Estimate:
        """Return the scaled count of events."""
        return Estimate(evidence.current.events * self.scale)


def scaled(evidence: Evidence, scale: float) -> Estimate:
    return Estimate(evidence.current.events * scale)


def limits(_: Evidence) -> Limits:
    return Limits(1.0)


SAMPLE = an_slo()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"objective": Objective(at_most=2.0)},
        {"objective": Objective(below=1.0)},
        {"objective": Objective(at_most=1.0, warn=0.5)},
        {"objective": Objective(at_most=1.0, computed=limits)},
        {"window": timedelta(hours=1)},
        {"min_events": 2},
        {"target": 0.5},
        {"open_after": 2},
        {"close_after": 3},
        {"slices": "intent=*"},
        {"overrides": (Override(fail=0.2),)},
        {"needs": frozenset({"label"})},
        {"unit": "share"},
        {"pane": timedelta(hours=1)},
        {"sli": partial(scaled, scale=1.0)},
    ],
)
def test_a_change_that_can_change_a_verdict_changes_the_hash(change: dict[str, Any]) -> None:
    assert definition_hash(replace(SAMPLE, **change)) != definition_hash(SAMPLE)


@pytest.mark.parametrize("field", ["title", "description", "runbook", "owner"])
def test_words_for_people_do_not_change_the_hash(field: str) -> None:
    words: dict[str, Any] = {field: "Other words"}

    assert definition_hash(replace(SAMPLE, **words)) == definition_hash(SAMPLE)


def test_parameters_bound_to_an_indicator_are_part_of_the_definition() -> None:
    hashes = {definition_hash(replace(SAMPLE, sli=partial(scaled, scale=s))) for s in (1.0, 2.0)}

    assert len(hashes) == 2


def test_the_parameters_of_an_indicator_object_are_part_of_the_definition() -> None:
    hashes = {definition_hash(replace(SAMPLE, sli=Share(s))) for s in (1.0, 2.0)}

    assert len(hashes) == 2


def test_equal_definitions_have_equal_hashes_of_sixty_four_hex_digits() -> None:
    first, second = (an_slo(needs=frozenset(names)) for names in (("label", "score"), ("score", "label")))

    assert definition_hash(first) == definition_hash(second)
    assert len(definition_hash(first)) == 64


def test_the_definition_is_json_and_names_the_function() -> None:
    text = json.dumps(definition(replace(SAMPLE, sli=partial(scaled, scale=1.0))))

    assert "test_definition:scaled:" in text


def test_a_function_without_source_still_has_a_fingerprint() -> None:
    spaces: list[dict[str, Any]] = [{"__name__": "nowhere"} for _ in range(2)]
    for space, operation in zip(spaces, "+*", strict=True):
        exec(f"def sli(evidence): return evidence {operation} 2", space)

    first, second = (definition_hash(replace(SAMPLE, sli=space["sli"])) for space in spaces)

    assert first != second
