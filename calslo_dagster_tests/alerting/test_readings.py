"""Numbers, places and times read as people say them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from calslo_dagster.alerting.model import Finding, Kind
from calslo_dagster.alerting.readings import (
    against,
    detail,
    estimate,
    has_model,
    kind_of,
    lasted,
    moment,
    place,
    scope,
    span,
    subject,
)
from calslo_dagster.slo.model import EVERYTHING as ALL
from calslo_dagster.slo.model import SLO, Evidence, Objective, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.alerting.messages import ALONE, BASE, NOW, START

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("finding", "unit", "read"),
    [
        (Finding(0.083, 0.071, 0.096, 41_280), "ratio", "0.083 [0.071, 0.096], n = 41,280"),
        (Finding(0.3455, 0.28, 0.41, 220), "share", "34.55 % [28 %, 41 %], n = 220"),
        (Finding(1234.0, events=500), "us", "1,234 us, n = 500"),
        (Finding(1234.0, 900.0, None, 500), "us", "1,234 us, n = 500"),
        (Finding(14.4), "times", "14.4 times"),
        (Finding(0.0, events=3), "ratio", "0, n = 3"),
        (Finding(None, 0.1, 0.2, 5), "ratio", ""),
    ],
)
def test_an_estimate_has_its_interval_and_events(finding: Finding, unit: str, read: str) -> None:
    assert estimate(finding, unit) == read


@pytest.mark.parametrize(
    ("finding", "unit", "read"),
    [
        (Finding(0.083, limit=0.05, excess=0.66), "ratio", "0.083 > 0.05"),
        (Finding(0.2, limit=0.9, excess=0.7), "share", "20 % < 90 %"),
        (Finding(1000.0, limit=1000.0), "us", "1,000 us at its limit"),
        (Finding(0.100000001, limit=0.1, excess=1e-8), "share", "10.0000001 % > 10 %"),
        (Finding(0.05000001, limit=0.05, excess=1e-7), "ratio", "0.05000001 > 0.05"),
        (Finding(1000.0004, limit=1000.0, excess=1e-7), "us", "1000.0004 us > 1,000 us"),
        (Finding(0.65, limit=(0.7, 1.4), excess=0.1), "ratio", "0.65 outside 0.7 to 1.4"),
        (Finding(0.8, limit=(0.7, 1.4)), "ratio", "0.8 within 0.7 to 1.4"),
        (Finding(0.04, limit=0.05, excess=-0.2), "ratio", "0.04, limit 0.05"),
        (Finding(0.04), "ratio", "0.04"),
        (Finding(None, limit=0.05), "ratio", ""),
    ],
)
def test_a_value_is_set_against_its_limit(finding: Finding, unit: str, read: str) -> None:
    assert against(finding, unit) == read


@pytest.mark.parametrize("value", [0.09, 0.04, 0.01])
def test_the_detail_of_a_verdict_is_what_its_indicator_said(value: float) -> None:
    """A verdict's reason begins with the figures, which a message shows by itself."""
    slo = SLO("ece", "Error", lambda _: found, Objective(at_most=0.05, warn=0.03))
    found = Estimate(value, events=220, reason="76 were clamped, of 1.5 million")

    judged = judge(slo, Evidence(Snapshot()), found)

    assert judged.verdict in (Verdict.BREACHED, Verdict.WARNING, Verdict.MEETING)
    assert detail(judged.reason) == "76 were clamped, of 1.5 million."


def test_a_verdict_without_detail_has_none_and_other_reasons_stay_whole() -> None:
    slo = SLO("ece", "Error", lambda _: Estimate(0.09, events=5), Objective(at_most=0.05))

    assert detail(judge(slo, Evidence(Snapshot()), Estimate(0.09, events=5)).reason) == ""
    assert detail("Needs 35 more events: has 165 of 200.") == "Needs 35 more events: has 165 of 200."


def test_the_scope_is_a_slice_or_a_count() -> None:
    assert scope(BASE) == "5 of 14 slices"
    assert scope(replace(BASE, measured=0)) == "5 slices"
    assert scope(replace(BASE, measured=5)) == "5 slices"
    assert scope(ALONE) == "country=de"
    assert scope(replace(ALONE, worst=())) == "1 of 14 slices"
    assert scope(replace(ALONE, worst=(), measured=1)) == "1 slice"
    assert scope(replace(BASE, slices=0, worst=())) == ""
    assert place(ALL) == "all traffic"


def test_times_are_told_in_utc() -> None:
    tokyo = timezone(timedelta(hours=9))

    assert moment(NOON.astimezone(tokyo)) == "2026-03-02 12:00 UTC"
    assert span(NOON, NOON + timedelta(hours=3)) == "2026-03-02 12:00 to 15:00 UTC"
    assert span(NOON, NOON + timedelta(days=1)) == "2026-03-02 12:00 to 2026-03-03 12:00 UTC"


def test_it_lasts_until_it_was_resolved_or_until_now() -> None:
    assert lasted(ALONE) == "2 h 10 min"
    assert lasted(replace(ALONE, resolved_at=START + timedelta(minutes=30))) == "30 min"
    assert lasted(replace(ALONE, at=START - timedelta(minutes=1))) == "0 s"
    assert lasted(replace(ALONE, at=NOW + timedelta(days=2))) == "2 d 2 h"


def test_a_promise_is_called_by_title_and_name() -> None:
    assert subject(BASE) == "Calibration error (ece_bound)"
    assert subject(replace(BASE, title="")) == "ece_bound"
    assert subject(replace(BASE, title="", slo="")) == "calslo"


def test_a_model_that_stands_for_all_is_none() -> None:
    assert has_model(BASE)
    assert not has_model(replace(BASE, model="*"))
    assert not has_model(replace(BASE, model=""))


def test_a_kind_of_a_newer_version_is_told_as_a_breach() -> None:
    assert kind_of(replace(BASE, kind="blind")) is Kind.BLIND
    assert kind_of(replace(BASE, kind="forecast")) is Kind.BREACH
