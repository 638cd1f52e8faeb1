"""The script: what happens when, and what must notice it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from calslo_dagster.slo.windows import STEP
from calslo_dagster.sources.demo.population import SLICES
from calslo_dagster.sources.demo.script import (
    RELEASES,
    Expectation,
    IncidentKind,
    Script,
    default_script,
    healthy_script,
)
from calslo_dagster.sources.demo.spec import DemoSpec


def test_every_kind_of_incident_happens_once(script: Script) -> None:
    assert sorted(incident.kind for incident in script.incidents) == sorted(IncidentKind)


def test_incidents_lie_inside_the_period_and_on_the_grid_of_measurements(script: Script) -> None:
    for incident in script.incidents:
        span = script.span(incident)
        assert script.spec.start <= span.start < span.end <= script.spec.end
        assert incident.offset % STEP == incident.duration % STEP == timedelta(0)


def test_incidents_name_slices_of_the_population(script: Script) -> None:
    assert all(set(incident.slices) <= set(SLICES) for incident in script.incidents)


def test_five_slos_are_put_to_the_test(script: Script) -> None:
    must = {wanted.slo for incident in script.incidents for wanted in incident.must}

    assert must == {"ece_bound", "clamp_activation", "p99_latency", "score_range", "clamp_alpha"}


@pytest.mark.parametrize("kind", [IncidentKind.OUTAGE, IncidentKind.LATE_LABELS])
def test_missing_data_and_late_labels_must_breach_nothing(script: Script, kind: IncidentKind) -> None:
    (incident,) = script.of_kind(kind)

    assert incident.must == incident.may == ()


def test_incidents_before_a_short_period_are_left_out() -> None:
    week = default_script(DemoSpec(datetime(2026, 11, 23, tzinfo=UTC), days=7))

    assert {i.kind for i in week.incidents} == {
        IncidentKind.ALPHA_JUMP,
        IncidentKind.BAD_SCORES,
        IncidentKind.LATENCY_REGRESSION,
        IncidentKind.LATE_LABELS,
    }


def test_the_jump_raises_the_alpha_of_the_new_click_model_only(script: Script) -> None:
    alphas = {release.version: script.alpha(release) for release in RELEASES}

    assert alphas == pytest.approx({"ranker-3.1": 0.12, "ranker-3.2": 0.13, "ctr-7.4": 0.10, "ctr-8.0": 0.18})
    assert healthy_script(script.spec).alpha(RELEASES[-1]) == pytest.approx(0.10)


def test_one_day_of_labels_arrives_two_days_late(script: Script) -> None:
    (late,) = script.of_kind(IncidentKind.LATE_LABELS)
    day = script.span(late).start
    on_time = day - timedelta(days=1)

    assert script.delivered_at(on_time) - on_time == timedelta(days=1, minutes=30)
    assert script.delivered_at(day) - day == timedelta(days=3, minutes=30)
    assert script.delivered_at(day) < script.spec.end


def test_an_expectation_of_the_whole_does_not_cover_its_slices() -> None:
    wanted = Expectation("ece_bound", ("*",))

    assert wanted.covers("ece_bound", "*")
    assert not wanted.covers("ece_bound", "intent=travel,language=ja")
    assert not wanted.covers("score_range", "*")


def test_scripts_compare_by_value(script: Script) -> None:
    again = default_script(DemoSpec(script.spec.end))

    assert script == again
    assert hash(script) == hash(again)
    assert replace(script, incidents=()) != script
