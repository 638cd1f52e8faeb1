"""The simulated events: repeatable, shaped as documented, and with every incident really in them."""

from dataclasses import fields, replace
from datetime import timedelta

import numpy as np
import pytest
from numpy.typing import NDArray

from calslo_dagster.sources.demo.population import CTR, RANKER, SEGMENTS, SHAPES, segment_shapes, slices_of
from calslo_dagster.sources.demo.script import HOUR, IncidentKind, Script
from calslo_dagster.sources.demo.traffic import Traffic, microseconds, simulate
from calslo_dagster_tests.sources.demo.conftest import Play

HOUR_US = 3_600_000_000


def of_slices(traffic: Traffic, names: tuple[str, ...]) -> NDArray[np.bool_]:
    wanted = np.array([segment.name in names for segment in SEGMENTS])
    return wanted[traffic.segment]


def same(a: Traffic, b: Traffic) -> bool:
    return all(np.array_equal(getattr(a, f.name), getattr(b, f.name)) for f in fields(Traffic))


def share(hit: NDArray[np.bool_]) -> float:
    return float(hit.mean())


def test_an_hour_is_the_same_alone_and_after_others(script: Script) -> None:
    hours = [script.spec.start + i * HOUR for i in (170, 3, 42)]
    first = [simulate(script, hour) for hour in hours]
    simulate.cache_clear()
    again = [simulate(script, hour) for hour in reversed(hours)][::-1]

    assert all(same(a, b) for a, b in zip(first, again, strict=True))


def test_other_dates_tell_the_same_story(script: Script) -> None:
    later = replace(script, spec=replace(script.spec, end=script.spec.end + timedelta(weeks=5)))
    a, b = (simulate(s, s.spec.start + 60 * HOUR) for s in (script, later))

    assert np.array_equal(b.event_us - a.event_us, np.full(a.events, 5 * 7 * 24 * HOUR_US))
    assert np.array_equal(a.score, b.score)
    assert np.array_equal(a.outcome, b.outcome)


def test_a_longer_demo_ends_with_the_same_two_weeks(script: Script) -> None:
    longer = replace(script, spec=replace(script.spec, days=35))

    assert same(simulate(script, script.spec.start + HOUR), simulate(longer, script.spec.start + HOUR))
    assert simulate(longer, longer.spec.start).events > 0


def test_another_seed_makes_other_events(script: Script) -> None:
    other = replace(script, spec=replace(script.spec, seed=12))

    assert simulate(script, script.spec.start).events != simulate(other, script.spec.start).events


def test_nothing_happens_before_the_start(script: Script) -> None:
    assert simulate(script, script.spec.start - HOUR).events == 0


def test_the_default_demo_has_more_than_a_million_events(play: Play) -> None:
    assert 1_200_000 < play.traffic.events < 1_400_000


def test_events_ascend_inside_their_hour(script: Script) -> None:
    hour = script.spec.start + 7 * HOUR
    traffic = simulate(script, hour)

    assert np.all(np.diff(traffic.event_us) >= 0)
    assert microseconds(hour) <= traffic.event_us[0]
    assert traffic.event_us[-1] < microseconds(hour + HOUR)


def test_slices_get_their_shares_in_both_weeks(play: Play) -> None:
    week = (play.traffic.event_us - microseconds(play.script.spec.start)) // (7 * 24 * HOUR_US)
    shares = np.array([segment.share for segment in SEGMENTS])

    for number in (0, 1):
        counts = np.bincount(play.traffic.segment[week == number], minlength=24)
        # Poisson counts: five standard deviations, and the hour that is silent in the first week.
        tolerance = 5 * np.sqrt(shares * counts.sum()) + 0.005 * shares * counts.sum()
        assert np.all(np.abs(counts - shares * counts.sum()) < tolerance)


def test_a_third_of_the_labels_never_comes_and_the_rest_in_two_ways(play: Play) -> None:
    traffic = play.traffic
    never, at_once = traffic.label_us < 0, traffic.label_us == traffic.event_us
    delay = (traffic.label_us - traffic.event_us)[~never & ~at_once] / HOUR_US

    assert share(never) == pytest.approx(0.35, abs=0.003)
    assert share(at_once) == pytest.approx(0.30, abs=0.003)
    assert np.median(delay) == pytest.approx(2.5 * np.log(2), rel=0.02)
    assert 0 < delay.min() < delay.max() <= 12


def test_few_rows_are_late_or_sent_twice_and_none_by_more_than_an_hour(play: Play) -> None:
    traffic = play.traffic
    late, twice = traffic.arrival_us != traffic.event_us, traffic.retry_us >= 0

    assert share(late) == pytest.approx(0.002, rel=0.1)
    assert share(twice) == pytest.approx(0.0003, rel=0.25)
    assert np.all(traffic.arrival_us[late] // HOUR_US == traffic.event_us[late] // HOUR_US + 1)
    assert np.all((traffic.arrival_us - traffic.event_us)[late] <= HOUR_US)
    assert np.all((traffic.retry_us - traffic.event_us)[twice] < HOUR_US)


def test_healthy_scores_are_calibrated_in_every_slice(healthy: Play) -> None:
    traffic = healthy.traffic
    for index in range(24):
        of = traffic.segment == index
        p, y = traffic.score[of], traffic.outcome[of]
        z = (y - p).sum() / np.sqrt((p * (1 - p)).sum())
        assert abs(z) < 4


@pytest.mark.parametrize("model", [RANKER, CTR])
def test_healthy_scores_are_calibrated_over_their_whole_range(healthy: Play, model: str) -> None:
    traffic = healthy.traffic
    of = of_slices(traffic, slices_of(model=model))
    p, y = traffic.score[of], traffic.outcome[of]
    bins = np.digitize(p, np.quantile(p, np.arange(1, 15) / 15))
    gaps = np.bincount(bins, y - p) / np.sqrt(np.bincount(bins, p * (1 - p)))

    assert np.abs(gaps).max() < 4


def test_healthy_latency_clamps_and_scores_keep_far_from_their_limits(healthy: Play) -> None:
    traffic = healthy.traffic

    assert np.quantile(traffic.latency_us, 0.99) < 400
    assert traffic.latency_us.max() < 1000
    for index, shape in enumerate(SHAPES):
        of = segment_shapes()[traffic.segment] == index
        assert share(traffic.clamped[of]) == pytest.approx(shape.clamp_rate, rel=0.05)
    assert 0.0 <= traffic.score.min() <= traffic.score.max() <= 1.0


def test_clamped_scores_sit_at_the_bounds_of_their_model(healthy: Play) -> None:
    traffic = healthy.traffic
    for index, shape in enumerate(SHAPES):
        of = traffic.clamped & (segment_shapes()[traffic.segment] == index)
        assert set(traffic.score[of].tolist()) == {shape.floor, shape.ceiling}


def test_incidents_change_nothing_outside_their_span_and_slices(play: Play, healthy: Play) -> None:
    (outage,) = play.script.of_kind(IncidentKind.OUTAGE)
    span = play.script.span(outage)
    lost = (healthy.traffic.event_us >= microseconds(span.start)) & (healthy.traffic.event_us < microseconds(span.end))
    undisturbed = healthy.traffic.take(~lost)
    touched = np.zeros(play.traffic.events, dtype=np.bool_)
    for incident in play.script.incidents:
        touched |= play.during(incident.kind) & of_slices(play.traffic, incident.slices)

    assert same(play.traffic.take(~touched), undisturbed.take(~touched))
    assert not same(play.traffic, undisturbed)


def test_the_shifted_slice_is_overstated_while_it_lasts(play: Play) -> None:
    (shift,) = play.script.of_kind(IncidentKind.CALIBRATION_SHIFT)
    traffic = play.traffic
    inside = play.during(shift.kind) & of_slices(traffic, shift.slices)
    p, y = traffic.score[inside], traffic.outcome[inside]
    truth = 1 / (1 + np.exp(-(np.log(p / (1 - p)) + shift.magnitude)))

    assert p.mean() - y.mean() == pytest.approx(0.10, abs=0.02)
    assert y.mean() == pytest.approx(truth.mean(), abs=0.015)


def test_the_storm_clamps_a_quarter_of_its_slices(play: Play) -> None:
    (storm,) = play.script.of_kind(IncidentKind.CLAMP_STORM)
    inside = play.during(storm.kind)
    for name in storm.slices:
        assert share(play.traffic.clamped[inside & of_slices(play.traffic, (name,))]) == pytest.approx(0.28, abs=0.07)
    assert share(play.traffic.clamped[inside]) < 0.05


def test_the_regression_multiplies_the_ranker_s_latency(play: Play, healthy: Play) -> None:
    (regression,) = play.script.of_kind(IncidentKind.LATENCY_REGRESSION)
    traffic = play.traffic
    inside = play.during(regression.kind) & of_slices(traffic, regression.slices)
    usual = np.median(healthy.traffic.latency_us[of_slices(healthy.traffic, regression.slices)])

    assert np.median(traffic.latency_us[inside]) == pytest.approx(6 * usual, rel=0.02)
    assert share(traffic.latency_us[play.during(regression.kind)] >= 1000) > 0.1


def test_every_slice_of_the_bad_release_has_scores_above_one_in_its_first_hours_only(play: Play) -> None:
    (bad,) = play.script.of_kind(IncidentKind.BAD_SCORES)
    traffic = play.traffic
    above, inside = traffic.score > 1, play.during(bad.kind)

    assert share(above[inside & of_slices(traffic, bad.slices)]) == pytest.approx(0.15, abs=0.02)
    assert all(above[inside & of_slices(traffic, (name,))].any() for name in bad.slices)
    assert not above[~inside].any()


def test_the_log_is_silent_for_one_hour(play: Play) -> None:
    hours = np.bincount((play.traffic.event_us - microseconds(play.script.spec.start)) // HOUR_US, minlength=336)

    assert np.flatnonzero(hours == 0).tolist() == [4 * 24 + 3]
    assert not play.during(IncidentKind.OUTAGE).any()


def test_a_release_begins_with_a_tenth_of_the_traffic(play: Play) -> None:
    traffic, opening = play.traffic, play.script.spec.opening
    for index, release in enumerate(play.script.releases):
        if release.live < timedelta(0):
            continue
        of_model = of_slices(traffic, slices_of(model=release.model))
        is_new = traffic.release == index
        canary, live = microseconds(opening + release.canary), microseconds(opening + release.live)
        in_canary = of_model & (traffic.event_us >= canary) & (traffic.event_us < live)
        assert not is_new[traffic.event_us < canary].any()
        assert share(is_new[in_canary]) == pytest.approx(0.10, abs=0.02)
        assert is_new[of_model & (traffic.event_us >= live)].all()


def test_every_release_serves_its_own_model(play: Play) -> None:
    models = np.array([segment.model for segment in SEGMENTS])[play.traffic.segment]

    for index, release in enumerate(play.script.releases):
        assert set(models[play.traffic.release == index].tolist()) == {release.model}


def test_live_traffic_after_the_script_is_healthy(script: Script) -> None:
    traffic = Traffic.joined(simulate(script, script.spec.end + i * HOUR) for i in range(24))

    assert traffic.events > 80_000
    assert traffic.score.max() < 1
    assert traffic.latency_us.max() < 1000
    assert abs((traffic.outcome - traffic.score).mean()) < 0.005
