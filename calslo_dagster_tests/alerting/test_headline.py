"""A title fits a lock screen and gives up the least important first."""

from dataclasses import replace

import pytest

from calslo_dagster.alerting.facts import Member
from calslo_dagster.alerting.headline import GOOD_TITLE, headline
from calslo_dagster.alerting.model import Action
from calslo_dagster_tests.alerting.messages import ALONE, BASE, BLIND, START, finding

LONG_SLICE = "intent=research,language=fr,device=tablet,channel=partner-network"


@pytest.mark.parametrize(
    ("model", "title", "shown"),
    [
        ("m1", "ECE", "CRITICAL m1 · over-confident · ECE 0.0831 > 0.05 · 5 of 14 slices"),
        (
            "fraud-v12",
            "Error of calibration",
            "CRITICAL fraud-v12 · over-confident · ece_bound 0.0831 > 0.05 · 5 of 14 slices",
        ),
        (
            "payments-checkout-risk",
            "Calibration error",
            "CRITICAL payments-checkout-risk · over-confident · ece_bound 0.0831 > 0.05",
        ),
        (
            "payments-checkout-risk-emea-canary",
            "Calibration error",
            "CRITICAL payments-checkout-risk… · over-confident · ece_bound 0.0831 > 0.05",
        ),
    ],
)
def test_long_names_give_way_before_the_symptom(model: str, title: str, shown: str) -> None:
    found = headline(replace(BASE, model=model, title=title), Action.TRIGGER)

    assert found == shown
    assert len(found) <= GOOD_TITLE


def test_a_slice_too_long_to_read_becomes_a_count() -> None:
    one = replace(ALONE, direction="", worst=(Member(LONG_SLICE, START, finding(0.0831)),))

    assert headline(one, Action.TRIGGER) == "CRITICAL fraud-v12 · Calibration error 0.0831 > 0.05 · 1 of 14 slices"


def test_no_model_and_no_figures_leave_no_holes() -> None:
    bare = replace(BASE, model="*", direction="", worst=(), slices=0)

    assert headline(bare, Action.TRIGGER) == "CRITICAL Calibration error is breached"
    assert headline(bare, Action.ACK) == "ACKNOWLEDGED Calibration error"


def test_what_cannot_be_judged_has_no_direction() -> None:
    assert "over-confident" not in headline(replace(BLIND, direction="over-confident"), Action.TRIGGER)
