"""Watches: which panes count as evidence, about which calibrator, and which slices fire together."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from calslo_dagster.slo.model import Objective
from calslo_dagster.slo.trials import Rate
from calslo_dagster.slo.watch import FORGOTTEN_AFTER, Fleet, Look, Rules, Shown, begin_day, tick
from calslo_dagster.slo.windows import STEP
from calslo_dagster.stats.batches import Batch
from calslo_dagster.stats.sequential import Detector
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.slo.watched import ERROR, SHARE, START, Traffic, at, course, pane, shared

SHARES = Rules(SHARE, STEP)
ERRORS = Rules(ERROR, STEP)


def run(rules: Rules, panes: list[Snapshot], fleet: Fleet | None = None, first: int = 0) -> tuple[Fleet, list[Look]]:
    fleet, looks = fleet or Fleet(), []
    for place, one in enumerate(panes, start=first):
        fleet, found = tick(rules, fleet, at(place), {"*": Shown.of(rules.slo, one)} if one.events else {})
        looks.append(found["*"])
    return fleet, looks


def mixed(**events: int) -> Snapshot:
    return replace(shared(0, sum(events.values())), versions=events)


def epochs(*panes: Snapshot) -> list[str]:
    fleet, found = Fleet(), []
    for one in panes:
        fleet, _ = run(SHARES, [one], fleet)
        found.append(fleet.watches["*"].epoch)
    return found


def test_a_slow_rollout_is_one_new_epoch_when_the_old_version_serves_next_to_nothing() -> None:
    shares = [(100, 0), (90, 10), (50, 50), (10, 90), (9, 91), (0, 100), (0, 100)]

    assert epochs(*[mixed(old=old, new=new) for old, new in shares]) == ["old"] * 4 + ["new"] * 3


def test_the_first_version_that_is_seen_makes_the_first_epoch() -> None:
    assert epochs(mixed(a=1, b=1), mixed(a=1)) == ["a", "a"]
    assert epochs(mixed(b=2, a=1)) == ["b"]


def test_two_versions_that_share_few_events_are_one_epoch() -> None:
    rng = np.random.default_rng(3)
    panes = [mixed(**{"old" if rng.random() < 0.5 else "new": 3}) for _ in range(300)]

    assert len(set(epochs(*panes))) == 1


def test_a_version_that_is_gone_from_fifty_events_is_gone() -> None:
    assert epochs(mixed(old=5), *[mixed(new=5)] * 11) == ["old"] * 10 + ["new"] * 2


def test_a_new_epoch_begins_with_new_evidence_and_the_same_scores() -> None:
    panes = list(Traffic().panes(200, 1))
    old = course(ERROR, panes).watch
    new = course(ERROR, [*panes, replace(panes[-1], versions={"v2": 200})]).watch

    assert old is not None
    assert new is not None
    assert new.epoch == "v2"
    assert new.baseline == old.baseline
    assert (new.breach.epoch, new.breach.mixture.updates) == ("v2", 1 + ERRORS.head_starts[0])  # type: ignore[union-attr]  # a detector
    assert new.noise.days == ((0.0, 0),)


def test_events_without_a_version_say_nothing_about_the_epoch() -> None:
    assert epochs(mixed(old=5), replace(mixed(old=5), versions={})) == ["old", "old"]


def test_a_slice_is_forgotten_after_35_days_of_silence() -> None:
    fleet, _ = run(SHARES, [shared(30)])
    later = at(0) + FORGOTTEN_AFTER
    kept, looks = tick(SHARES, fleet, later, {})
    gone, none = tick(SHARES, fleet, later + STEP, {})

    assert kept.watches == fleet.watches
    assert looks["*"].evidence is not None
    assert (gone.watches, none) == ({}, {})


def test_a_pane_of_too_few_labels_is_no_evidence() -> None:
    rng = np.random.default_rng(5)
    full = list(Traffic().panes(96, 5))
    scores = rng.beta(2, 5, 200)
    labels = (rng.random(200) < scores).astype(np.float64)
    few = pane(scores, np.ones(200), labeled=np.arange(200) < 90)
    enough = pane(scores, labels, labeled=np.arange(200) < 110)
    fleet, _ = run(ERRORS, full)
    fleet = begin_day(ERROR, fleet, {"*": sum(full[1:], full[0])})
    after_few, _ = run(ERRORS, [few], fleet, 96)
    after_enough, _ = run(ERRORS, [enough], fleet, 96)
    before, skipped, taken = (one.watches["*"] for one in (fleet, after_few, after_enough))

    assert before.labels == 1.0
    assert skipped.breach is before.breach
    assert (skipped.seen, skipped.noise) == (at(96), before.noise)
    assert taken.breach.mixture.updates == before.breach.mixture.updates + 1  # type: ignore[union-attr]  # both are detectors


def test_a_day_without_labels_keeps_the_baseline() -> None:
    fleet, _ = run(ERRORS, list(Traffic().panes(3, 5)))
    silent = shared(0)

    begun = begin_day(ERROR, fleet, {"*": silent, "other": silent})

    assert begun.watches["*"].baseline is fleet.watches["*"].baseline
    assert (begun.slices, list(begun.watches)) == (2, ["*"])


def test_a_pane_is_bet_on_with_what_was_known_before_it() -> None:
    """Neither the labels of the pane nor its own noise change the stakes, only what is made of them."""
    day = list(Traffic().panes(97, 8))
    fleet, _ = run(ERRORS, day[:96])
    known = fleet.watches["*"]
    stepped, _ = run(ERRORS, day[96:], fleet, 96)
    before, after = known.breach, stepped.watches["*"].breach
    assert isinstance(before, Detector)
    assert isinstance(after, Detector)
    assert known.baseline is not None
    minutes, phi = at(96).timestamp() / 60, known.noise.dispersion
    expected = before.step(Batch.of(day[96]), known.baseline, at=minutes, dispersion=phi)

    assert after.dumped() == expected.dumped()


def test_slices_that_rise_together_fire_together() -> None:
    """Each alone would need the whole threshold, two of them half of it each."""
    alone = tick_until_fired({"a": 15, "b": 0, "c": 0, "d": 0})
    together = tick_until_fired(dict.fromkeys("abcd", 15))

    assert together < alone


def tick_until_fired(hits: dict[str, int]) -> int:
    fleet = Fleet(slices=400)
    for place in range(500):
        shown = {name: Shown.of(SHARE, shared(count)) for name, count in hits.items()}
        fleet, looks = tick(SHARES, fleet, at(place), shown)
        if looks["a"].alarms.breach:
            return place
    raise AssertionError("no alarm")


def test_on_its_first_day_each_slice_that_has_come_shares_the_false_alarms() -> None:
    shown = {name: Shown.of(SHARE, shared(1)) for name in "abcde"}
    _, looks = tick(SHARES, Fleet(), START, shown)

    assert looks["a"].threshold == SHARES.breach_threshold(5) == 5 * 2_880


def test_a_detector_that_fires_begins_again_and_the_other_goes_on() -> None:
    fleet, looks = run(SHARES, [shared(60)] * 3)
    fired = [look.alarms.breach for look in looks]
    watch = fleet.watches["*"]

    assert fired[0]
    assert looks[0].evidence is not None
    assert looks[0].evidence > 0
    assert watch.breach is not None
    assert watch.breach.mixture.updates < 3
    assert looks[-1].began is not None


def test_alarms_say_since_when() -> None:
    fleet, _ = run(SHARES, [shared(9)] * 90)
    _, looks = run(SHARES, [shared(30)] * 3, fleet, 90)
    first = next(look for look in looks if look.alarms.breach)

    assert first.alarms.breach_age <= 3 * STEP
    assert first.began is not None
    assert abs(first.began - at(90)) <= 3 * STEP


def test_a_slice_that_says_nothing_keeps_its_look_without_an_alarm() -> None:
    fleet, looks = run(SHARES, [shared(30)])
    _, later = tick(SHARES, fleet, at(1), {})

    assert later["*"].alarms == Look().alarms
    assert later["*"].e_value == fleet.watches["*"].breach.e_value  # type: ignore[union-attr]  # a detector
    assert looks[0].threshold == later["*"].threshold


def test_another_definition_drops_the_evidence_and_takes_its_own_tolerance() -> None:
    fleet, _ = run(ERRORS, list(Traffic().panes(20, 4)))
    watch = fleet.watches["*"]
    stripped = replace(fleet, watches={"*": replace(watch, breach=None, change=None)})
    other = Rules(replace(ERROR, objective=Objective(at_most=0.004)), STEP)
    after, _ = run(other, list(Traffic().panes(1, 5)), stripped, 20)

    assert watch.baseline is not None
    assert after.watches["*"].baseline == replace(watch.baseline, tolerance=0.004)
    assert after.watches["*"].breach.mixture.updates == 1 + ERRORS.head_starts[0]  # type: ignore[union-attr]  # a detector


@pytest.mark.parametrize(("own", "tolerance"), [(None, 0.015), (0.04, 0.04)])
def test_a_slice_with_a_limit_of_its_own_tolerates_that(own: float | None, tolerance: float) -> None:
    panes = list(Traffic(scores=lambda rng, _, n: rng.uniform(0.2, 0.8, n)).panes(2, 4))
    fleet, _ = tick(ERRORS, Fleet(), at(0), {"*": Shown.of(ERROR, panes[0], own)})
    fresh = fleet.watches["*"].baseline
    begun = begin_day(ERROR, fleet, {"*": panes[1]}).watches["*"].baseline

    assert fresh is not None
    assert begun is not None
    assert fresh.tolerance == begun.tolerance == tolerance


def test_a_limit_on_the_hits_goes_before_one_on_the_value() -> None:
    """An override of a latency is in microseconds, and no rate."""
    slow = replace(SHARE, trial=Rate(SHARE.trial.counts, limit=0.01))  # type: ignore[union-attr]  # a rate

    assert Rules(slow, STEP).rate_limit(Shown.of(slow, shared(1), 2_000.0)) == 0.01
    assert SHARES.rate_limit(Shown.of(SHARE, shared(1), 0.2)) == 0.2
    assert SHARES.rate_limit(Shown.of(SHARE, shared(1))) == 0.1


def test_a_promise_between_two_limits_is_no_rate() -> None:
    within = replace(SHARE, objective=Objective(within=(0.1, 0.2)))

    with pytest.raises(TypeError, match="one limit"):
        Rules(within, STEP).rate_limit(Shown.of(within, shared(1)))


def test_thresholds_grow_with_slices_and_with_shorter_steps() -> None:
    assert SHARES.breach_threshold(10) == 28_800
    assert SHARES.change_threshold(10) == 7_200
    assert Rules(SHARE, timedelta(minutes=1)).breach_threshold(1) == 43_200


def test_a_slice_may_have_a_warn_limit_of_its_own() -> None:
    """One that its fail limit overtakes, or that is no rate, is none."""
    bare = replace(SHARE, objective=Objective(at_most=0.1))

    assert Rules(bare, STEP).rate_warn(Shown.of(bare, shared(1))) is None
    assert Rules(bare, STEP).rate_warn(Shown.of(bare, shared(1), warn=0.02)) == 0.02
    assert SHARES.rate_warn(Shown.of(SHARE, shared(1), 0.01, warn=0.02)) is None
    assert SHARES.rate_warn(Shown.of(SHARE, shared(1), warn=500.0)) is None


@pytest.mark.parametrize(("warn", "is_alarmed"), [(None, False), (0.02, True), (0.06, False)])
def test_warnings_are_about_the_limit_of_the_slice(warn: float | None, is_alarmed: bool) -> None:
    rules = Rules(replace(SHARE, objective=Objective(at_most=0.1)), STEP)
    fleet, looks = Fleet(), []
    for place in range(200):
        fleet, found = tick(rules, fleet, at(place), {"*": Shown.of(rules.slo, shared(4), warn=warn)})
        looks.append(found["*"])

    assert any(look.alarms.change for look in looks) == is_alarmed
    assert not any(look.alarms.breach for look in looks)


def test_a_slice_that_many_calibrators_share_is_one_epoch_until_one_of_them_serves_nearly_all() -> None:
    rng = np.random.default_rng(5)
    shared_out = [mixed(**{f"v{k}": int(n) for k, n in enumerate(rng.poisson(4, 24))}) for _ in range(50)]

    assert set(epochs(*shared_out)) == {"*"}
    assert epochs(*shared_out[:2], mixed(v3=60), mixed(v3=60))[-1] == "v3"
    assert epochs(mixed(v3=60), *shared_out[:2]) == ["v3", "*", "*"]
