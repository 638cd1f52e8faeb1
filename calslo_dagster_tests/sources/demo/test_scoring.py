"""The score card: found, missed and false."""

from dataclasses import replace
from datetime import timedelta

import pytest

from calslo_dagster.slo.windows import STEP
from calslo_dagster.sources.demo.scoring import BreachRecord, Scorecard, score_breaches
from calslo_dagster.sources.demo.script import HOUR, IncidentKind, Script

SHIFTED = "intent=navigate,language=de"
SMALLEST = "intent=travel,language=pt"


def only(script: Script, kind: IncidentKind) -> Script:
    return replace(script, incidents=script.of_kind(kind))


def at(script: Script, hours: float) -> BreachRecord:
    return BreachRecord(script.spec.opening + timedelta(hours=hours), "ece_bound", SHIFTED)


def every_expected(script: Script) -> list[BreachRecord]:
    return [
        BreachRecord(script.span(incident).start, wanted.slo, name, script.span(incident).end)
        for incident in script.incidents
        for wanted in incident.must
        for name in wanted.slices
    ]


def kinds(card: Scorecard) -> tuple[int, int, int, int]:
    return len(card.found), len(card.missed), len(card.consequences), len(card.false)


def test_silence_misses_everything(script: Script) -> None:
    card = score_breaches(script, [])

    assert not card.found
    assert len(card.missed) == len(every_expected(script)) == 23
    assert not card.is_perfect


def test_breaches_at_every_incident_are_a_perfect_card(script: Script) -> None:
    card = score_breaches(script, reversed(every_expected(script)))

    assert card.is_perfect
    assert kinds(card) == (23, 0, 0, 0)


def test_a_finding_tells_its_delay_and_recovery(script: Script) -> None:
    shift = only(script, IncidentKind.CALIBRATION_SHIFT)
    (incident,) = shift.incidents
    span = shift.span(incident)
    breach = BreachRecord(span.start + 6 * HOUR, "ece_bound", SHIFTED, span.end + 14 * HOUR)
    (finding,) = score_breaches(shift, [breach]).findings

    assert finding.is_found
    assert finding.breach == breach
    assert finding.delay == 6 * HOUR
    assert finding.recovery == 14 * HOUR


def test_an_open_breach_is_found_without_recovery(script: Script) -> None:
    shift = only(script, IncidentKind.CALIBRATION_SHIFT)
    (finding,) = score_breaches(shift, [at(shift, 60.0)]).findings

    assert finding.is_found
    assert finding.recovery is None


@pytest.mark.parametrize(
    ("hours", "is_found"),
    [(53.5, False), (53.75, True), (54.0, True), (84.0, True), (108.0, True), (108.25, False)],
)
def test_an_onset_counts_from_one_step_before_to_one_window_after(
    script: Script, hours: float, *, is_found: bool
) -> None:
    shift = only(script, IncidentKind.CALIBRATION_SHIFT)
    card = score_breaches(shift, [at(shift, hours)])

    assert bool(card.found) is is_found
    assert len(card.false) == (not is_found)


def test_a_bucket_that_begins_before_the_incident_has_no_negative_delay(script: Script) -> None:
    shift = only(script, IncidentKind.CALIBRATION_SHIFT)
    (finding,) = score_breaches(shift, [at(shift, 53.75)]).findings

    assert finding.delay == timedelta(0)


def test_the_first_of_several_breaches_is_the_finding_and_the_rest_follow_from_it(script: Script) -> None:
    shift = only(script, IncidentKind.CALIBRATION_SHIFT)
    card = score_breaches(shift, [at(shift, 70.0), at(shift, 60.0), at(shift, 65.0)])

    assert kinds(card) == (1, 0, 2, 0)
    assert card.found[0].delay == 6 * HOUR


def test_the_same_slo_on_another_slice_is_false(script: Script) -> None:
    shift = only(script, IncidentKind.CALIBRATION_SHIFT)
    card = score_breaches(shift, [replace(at(shift, 60.0), slice=SMALLEST)])

    assert kinds(card) == (0, 1, 0, 1)


def test_what_may_follow_from_an_incident_is_a_consequence(script: Script) -> None:
    latency = only(script, IncidentKind.LATENCY_REGRESSION)
    start = latency.span(latency.incidents[0]).start
    card = score_breaches(latency, [BreachRecord(start, "p99_latency", name) for name in ("*", SHIFTED, SMALLEST)])

    assert kinds(card) == (1, 0, 1, 1)
    assert card.false[0].slice == SMALLEST


def test_drift_that_nothing_explains_is_false_even_beside_a_perfect_script(script: Script) -> None:
    week = BreachRecord(script.spec.opening + timedelta(days=7), "weekly_drift", SMALLEST)
    card = score_breaches(script, [*every_expected(script), week])

    assert card.false == (week,)
    assert not card.is_perfect


@pytest.mark.parametrize("kind", [IncidentKind.OUTAGE, IncidentKind.LATE_LABELS])
def test_a_breach_during_a_harmless_incident_is_false(script: Script, kind: IncidentKind) -> None:
    harmless = only(script, kind)
    start = harmless.span(harmless.incidents[0]).start
    card = score_breaches(harmless, [BreachRecord(start + STEP, "ece_bound", "*")])

    assert kinds(card) == (0, 0, 0, 1)
