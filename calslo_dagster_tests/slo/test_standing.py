"""Standings: what alarms and windows come to, tick by tick, and what a measurement says of it."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from calslo_dagster.slo.model import SLO, Objective, Verdict
from calslo_dagster.slo.standing import Finding, Record, Seen, detectable, follow, limit_of
from calslo_dagster.slo.trials import Rate
from calslo_dagster.slo.watch import Look, Watch
from calslo_dagster.slo.windows import DAY, STEP
from calslo_dagster.stats.baseline import Baseline
from calslo_dagster.stats.latch import Alarms, Latch
from calslo_dagster.stats.overdispersion import Noise
from calslo_dagster.stats.rate_bets import RateDetector
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.slo.watched import ERROR, SHARE, START, Course, at, course, pane, shared

WATCH = Watch(START, "v1", breach=RateDetector.fresh("v1"))
LOOK = Look(e_value=0.1, evidence=-4.0, threshold=2_880.0)
BREACH = replace(LOOK, alarms=Alarms(breach=True, breach_age=timedelta(hours=6)), evidence=0.2)
CHANGE = replace(LOOK, alarms=Alarms(change=True))


def seen(place: int, one: Snapshot, window: Snapshot, look: Look = LOOK, watch: Watch | None = WATCH) -> Seen:  # noqa: PLR0917 - a row
    return Seen(at(place), watch, look, window, one, DAY, STEP)


def after(*steps: Seen, slo: SLO = SHARE) -> tuple[Record, Finding]:
    record = Record("v1")
    for step in steps:
        record, found = follow(slo, record, step)
    return record, found


GOOD_DAY, BAD_DAY = shared(300, 9_600), shared(1_900, 9_600)
GOOD, BAD = shared(3), shared(20)


def test_a_day_that_keeps_its_limit_meets_it() -> None:
    _, found = after(seen(0, GOOD, GOOD_DAY))

    assert (found.verdict, found.limit, found.basis, found.needed) == (Verdict.MEETING, 0.1, GOOD_DAY, None)
    assert found.begins == at(0) - DAY
    assert found.reason.startswith("Share of clamped scores keeps its limit, at most 10 %.")
    assert "Its window shows 3.125 %, in truth 2." in found.reason
    assert found.reason.endswith("over 9,600 events. Nothing speaks for a breach.")


def test_too_few_events_say_how_many_more_they_need() -> None:
    """None of them clamped: the limit is shown by those that half of it would need."""
    few = shared(3, 60)
    _, found = after(seen(0, few, few))

    assert found.verdict is Verdict.UNKNOWN
    assert found.needed is not None
    assert found.needed == pytest.approx(0.09 * (1.645 / 0.05) ** 2 - 60, abs=1)
    assert found.reason.startswith("Too early to say whether share of clamped scores is at most 10 %.")


def test_an_alarm_is_a_breach_whatever_the_window_shows() -> None:
    record, found = after(seen(0, BAD, GOOD_DAY, BREACH))

    assert found.verdict is Verdict.BREACHED
    assert (record.begun_at, record.latch.breach_took) == (at(0), 9_600 / 4)
    assert "is past its limit, at most 10 %: first alarm 2026-03-02 00:15, last 2026-03-02 00:15." in found.reason
    assert "The evidence is 1.6 of what an alarm takes." in found.reason


def test_a_breach_clears_when_what_came_since_keeps_the_limit_for_certain() -> None:
    """Two panes of 3 % say 10 % is kept with 95 %: the upper end of 6 in 200 is 5.8 %."""
    alarm = seen(0, BAD, BAD_DAY, BREACH)
    once, first = after(alarm, seen(1, BAD, BAD_DAY))
    twice, second = after(alarm, seen(1, shared(6, 200), BAD_DAY))

    assert first.verdict is Verdict.BREACHED
    assert once.since is not None
    assert once.since.events == 100
    assert (second.verdict, second.begins) == (Verdict.MEETING, at(0))
    assert second.basis is twice.since
    assert twice.latch.recovers_until == at(1) + DAY


def test_a_breach_clears_by_patience_and_warns_for_a_day() -> None:
    """9 % of 9,600 may be 10 % in truth after clusters; four times the 2,400 events of the alarm bring no other."""
    noisy = replace(LOOK, dispersion=5.0)
    alarm = seen(0, BAD, BAD_DAY, BREACH)
    _, early = after(alarm, seen(1, shared(860, 9_000), BAD_DAY, noisy))
    _, late = after(alarm, seen(1, shared(912, 9_600), BAD_DAY, noisy))

    assert early.verdict is Verdict.BREACHED
    assert late.verdict is Verdict.WARNING
    assert late.reason.startswith("Share of clamped scores was past its limit, at most 10 %, and no longer seems to be")
    assert "a warning until 2026-03-03 00:30." in late.reason
    assert "outcomes come in clusters, so their variance counts 5.00 times" in late.reason


def test_an_alarm_in_the_tick_that_would_clear_goes_on_with_the_same_breach() -> None:
    record, found = after(seen(0, BAD, BAD_DAY, BREACH), seen(1, shared(0, 900), BAD_DAY, BREACH))

    assert found.verdict is Verdict.BREACHED
    assert (record.latch.breached_since, record.begun_at) == (at(0), at(1))
    assert record.since is not None
    assert record.since.events == 0


def test_what_came_since_becomes_the_window_after_a_day() -> None:
    steps = [seen(0, BAD, BAD_DAY, BREACH), *[seen(place, GOOD, GOOD_DAY) for place in range(1, 97)]]
    before, first = after(*steps[:-1])
    later, last = after(*steps)

    assert first.basis is before.since
    assert last.basis is GOOD_DAY
    assert (later.since, later.begun_at) == (None, None)


def test_a_change_is_a_warning_until_it_has_ended() -> None:
    record, found = after(seen(0, GOOD, GOOD_DAY, CHANGE))
    _, later = follow(SHARE, record, seen(96, GOOD, GOOD_DAY))

    assert found.verdict is Verdict.WARNING
    assert later.verdict is Verdict.MEETING
    assert "has changed for certain, last seen 2026-03-02 00:15, but is not known to be past" in told(ERROR, CHANGE)
    assert found.reason.startswith(
        "Share of clamped scores should be at most 5 % and is not, last seen 2026-03-02 00:15"
    )


def told(slo: SLO, look: Look) -> str:
    labels = (np.arange(200) < 100).astype(np.float64)
    one = pane(np.full(200, 0.5), labels)
    return after(seen(0, one, one, look), slo=slo)[1].reason


def test_a_new_calibrator_is_judged_by_its_own_events() -> None:
    alarm = seen(0, BAD, BAD_DAY, BREACH)
    new = replace(WATCH, epoch="v2")
    first, found = after(alarm, seen(1, GOOD, BAD_DAY, watch=new))
    _, later = follow(SHARE, first, seen(2, shared(6, 200), BAD_DAY, watch=new))

    assert (first.epoch, first.latch) == ("v2", Latch())
    assert (found.verdict, found.begins) == (Verdict.MEETING, at(0))
    assert found.reading is not None
    assert found.reading.events == 100
    assert later.reading is not None
    assert later.reading.events == 300


def test_a_slice_without_a_past_is_judged_by_its_window() -> None:
    record, found = follow(SHARE, Record(), seen(0, GOOD, GOOD_DAY))

    assert (record, found.basis) == (Record("v1"), GOOD_DAY)


def test_a_slice_that_is_forgotten_begins_anew() -> None:
    record, found = after(seen(0, BAD, BAD_DAY, BREACH), seen(1, Snapshot(), Snapshot(), Look(), None))

    assert record == Record()
    assert found.verdict is Verdict.UNKNOWN
    assert "The window has no outcomes" in found.reason


def test_too_few_of_the_usual_labels_neither_meet_a_limit_nor_end_a_breach() -> None:
    rng = np.random.default_rng(1)
    p = rng.uniform(0.3, 0.7, 60_000)
    labels = (rng.random(60_000) < p).astype(np.float64)
    full, part = pane(p, labels), pane(p, labels, labeled=np.arange(60_000) < 25_000)
    watch = replace(WATCH, baseline=Baseline.of(full), labels=1.0)
    record = Record("v1", Latch().after(at(0), Alarms(breach=True), took=10), Snapshot(), at(0))
    kept, early = follow(ERROR, record, seen(1, part, part, watch=watch))
    _, late = follow(ERROR, record, seen(1, full, full, watch=watch))
    _, fresh = follow(ERROR, Record("v1"), seen(1, part, part, watch=watch))

    assert (early.verdict, late.verdict) == (Verdict.BREACHED, Verdict.MEETING)
    assert kept.latch == record.latch
    assert fresh.verdict is Verdict.UNKNOWN
    assert "so few of the usual ones that they may be all of one kind" in fresh.reason
    assert fresh.needed is not None


def test_the_limit_is_that_of_the_slice_then_that_of_the_promise() -> None:
    slow = replace(SHARE, trial=Rate(SHARE.trial.counts, limit=0.01))  # type: ignore[union-attr]  # a rate

    assert limit_of(SHARE, None) == 0.1
    assert limit_of(SHARE, replace(WATCH, limit=0.2)) == 0.2
    assert limit_of(slow, replace(WATCH, limit=2_000.0)) == 0.01
    assert limit_of(ERROR, replace(WATCH, baseline=Baseline.of(Snapshot(), tolerance=0.004))) == 0.004
    assert limit_of(replace(SHARE, objective=Objective(within=(0.1, 0.3))), None) == 0.3


def test_what_is_detectable_falls_with_the_events_and_rises_with_the_noise() -> None:
    small, large = (detectable(SHARE, seen(0, GOOD, shared(1, n)), 0.1) for n in (1_000, 100_000))
    noisy = detectable(SHARE, seen(0, GOOD, shared(1, 100_000), replace(LOOK, dispersion=3.0)), 0.1)

    assert small is not None
    assert large is not None
    assert noisy is not None
    assert 0.1 < large < noisy < small
    assert noisy - 0.1 == pytest.approx((large - 0.1) * 3**0.5)
    assert detectable(SHARE, seen(0, GOOD, Snapshot()), 0.1) is None
    assert detectable(SHARE, seen(0, GOOD, GOOD_DAY, Look()), 0.1) is None


def test_a_detectable_rate_is_found_within_a_day_in_four_of_five_runs() -> None:
    """60 runs have a standard error of 5 %, and what the bets lose is a round figure."""
    rate = detectable(SHARE, seen(0, GOOD, shared(1, 9_600), replace(LOOK, threshold=2_880.0)), 0.1)
    assert rate is not None
    rng = np.random.default_rng(11)
    found = 0
    for _ in range(60):
        detector = RateDetector.fresh("").reset()
        for place in range(96):
            detector = detector.step(int(rng.binomial(100, rate)), 100, limit=0.1, at=place)
            if detector.statistic >= 2_880:
                found += 1
                break

    assert found / 60 == pytest.approx(0.85, abs=0.15)


def hits(*spans: tuple[int, int], seed: int = 5) -> Course:
    """Return the course of days at these rates in percent."""
    rng = np.random.default_rng(seed)
    return course(SHARE, [shared(int(rng.binomial(100, rate / 100))) for days, rate in spans for _ in range(96 * days)])


def test_an_incident_is_one_breach_that_ends_after_the_fix() -> None:
    found = hits((2, 3), (1, 16), (3, 3))
    last = max(place for place, verdict in enumerate(found.verdicts) if verdict is Verdict.BREACHED)

    assert found.episodes(Verdict.BREACHED) == 1
    assert 3 * 96 <= last < 3 * 96 + 24
    assert found.verdicts[-1] is Verdict.MEETING


def test_a_rate_past_its_warning_alone_is_one_warning() -> None:
    found = hits((1, 2), (8, 7))

    assert (found.episodes(Verdict.BREACHED), found.episodes(Verdict.WARNING)) == (0, 1)
    assert found.verdicts[-1] is Verdict.WARNING


def test_the_noise_is_kept_beside_the_detectors() -> None:
    watch = hits((1, 5)).watch

    assert watch is not None
    assert watch.noise != Noise()
