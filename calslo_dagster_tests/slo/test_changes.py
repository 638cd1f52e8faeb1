"""Settings change any SLO in the same way, and a definition that cannot work is named."""

import math
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from calslo_dagster.slo.changes import Changes, problems, with_settings
from calslo_dagster.slo.limits import limits_for
from calslo_dagster.slo.model import SLO, Cadence, Limits, Objective, Override
from calslo_dagster_tests.slo.samples import NOTHING, an_slo

CLAMPED = an_slo(objective=Objective(at_most=0.10, warn=0.05), unit="share")
COMPUTED = an_slo(objective=Objective(at_most=0.015, computed=lambda _: Limits(0.02, 0.018)))


def limits_after(slo: SLO, **changes: Any) -> Limits:
    return limits_for(with_settings(slo, Changes(**changes)), NOTHING, "*", "")


def test_nothing_given_changes_nothing() -> None:
    assert with_settings(CLAMPED, Changes()) == CLAMPED
    assert with_settings(COMPUTED, Changes()) == COMPUTED


def test_limits_of_an_slo_are_replaced() -> None:
    assert limits_after(CLAMPED, fail=0.2) == Limits(0.2, 0.05)
    assert limits_after(CLAMPED, fail=0.04) == Limits(0.04, None)
    assert limits_after(CLAMPED, warn=0.08) == Limits(0.10, 0.08)
    assert limits_after(CLAMPED, no_warning=True) == Limits(0.10, None)
    assert limits_after(an_slo(objective=Objective(within=(0.0, 1.0))), fail=(0.2, 0.8)) == Limits((0.2, 0.8))


def test_limits_that_are_computed_are_replaced_only_where_given() -> None:
    assert limits_after(COMPUTED, fail=0.03) == Limits(0.03, 0.018)
    assert limits_after(COMPUTED, warn=0.01) == Limits(0.02, 0.01)
    assert limits_after(COMPUTED, no_warning=True) == Limits(0.02, None)


def test_overrides_from_settings_go_first() -> None:
    slo = replace(CLAMPED, overrides=(Override(fail=0.5),))

    assert limits_after(slo, overrides=(Override(fail=0.3, slices="*"),)) == Limits(0.3, 0.05)


def test_plain_fields_are_replaced() -> None:
    changed = with_settings(
        CLAMPED,
        Changes(
            window=timedelta(hours=6), min_events=7, target=0.9, open_after=2, close_after=4, slices="intent=*",
            owner="ml", runbook="Call.",
        ),
    )  # fmt: skip

    assert (changed.window, changed.min_events, changed.target) == (timedelta(hours=6), 7, 0.9)
    assert (changed.open_after, changed.close_after, changed.slices) == (2, 4, "intent=*")
    assert (changed.owner, changed.runbook) == ("ml", "Call.")


def test_a_sound_definition_has_no_problems() -> None:
    assert problems(CLAMPED) == ()
    assert problems(COMPUTED) == ()


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"name": "Bad-Name"}, "lower case"),
        ({"title": " "}, "title"),
        ({"min_events": -1}, "min_events"),
        ({"target": 99.9}, r"0\.999 for 99\.9 %"),
        ({"target": 0.0}, "target"),
        ({"target": math.nan}, "target"),
        ({"open_after": 0}, "open_after"),
        ({"window": timedelta(minutes=20)}, "multiple of 0:15:00"),
        ({"window": timedelta(0)}, "multiple"),
        ({"cadence": Cadence.WEEKLY}, "7 days"),
        ({"pane": timedelta(hours=7)}, "divides the window"),
        ({"objective": Objective(at_most=0.1, warn=0.2)}, "never fires"),
        ({"objective": Objective(at_most=1.0)}, "can never be missed"),
        ({"objective": Objective(below=0.0)}, "can never be met"),
        ({"objective": Objective(at_least=0.0)}, "can never be missed"),
        ({"objective": Objective(above=1.0)}, "can never be met"),
        ({"objective": Objective(within=(0.0, 1.0))}, "can never be missed"),
        ({"objective": Objective(within=(2.0, 3.0))}, "can never be met"),
        ({"objective": Objective(within=(0.8, 0.2))}, "backwards"),
        ({"objective": Objective(at_most=math.nan)}, "not a finite number"),
        ({"objective": Objective(at_most=0.1, warn=(0.0, 0.1))}, "does not fit the operator"),
        (
            {"overrides": (Override(fail=5.0, slices="intent=*"),)},
            r"of intent=\* of at most 5 can never be missed",
        ),
    ],
)
def test_a_definition_that_cannot_work_is_named(change: dict[str, Any], problem: str) -> None:
    found = problems(replace(an_slo(objective=Objective(at_most=0.10), unit="share"), **change))

    assert found
    with pytest.raises(ValueError, match=problem):
        raise ValueError(found[0])


def test_the_middle_of_a_range_is_reachable() -> None:
    assert problems(an_slo(objective=Objective(within=(0.2, 0.4)), unit="share")) == ()
    assert problems(an_slo(objective=Objective(equal=0.0), unit="share")) == ()
