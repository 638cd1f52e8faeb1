"""Each kind of trouble is the first cause where it is the cause, and none is where nothing moved."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from calslo_dagster.slo import registry
from calslo_dagster.slo.causes import NO_CAUSE, STANDS_OUT, Case, Cause, CauseKind, Pace, Pair, ranked, unusualness
from calslo_dagster.slo.model import SLO, Evidence, Manifest
from calslo_dagster.slo.suspects import find_causes
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot, merge
from calslo_dagster_tests.builders import snap

ONSET = datetime(2026, 3, 2, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def slo(name: str) -> SLO:
    return registry.builtin().find(name)


def events(
    n: int = 2_000, seed: int = 1, *, shift: float = 0.0, top: float = 1.0, known: float = 1.0, clamped: float = 0.01,
    slow: float = 1.0, bad: int = 0, version: str = "v1", alpha: float = 0.1,
) -> Snapshot:  # fmt: skip
    rng = np.random.default_rng(seed)
    p = top * rng.random(n)
    y = np.where(rng.random(n) < known, rng.random(n) < np.clip(p - shift, 0, 1), np.nan)
    latency = slow * rng.lognormal(5, 0.3, n)
    hit = rng.random(n) < clamped
    good = snap(p, y, None, latency, clamped=hit, alpha=[alpha] * n, versions=[version] * n)
    return good + snap([1.5] * bad, versions=[version] * bad)


WELL = events(seed=9)


def case(name: str, current: Snapshot, baseline: Snapshot = WELL, **facts: Any) -> Case:
    known = Case(slo(name), "intent=buy", ONSET, timedelta(minutes=15), 0.02, Pair(current, baseline))
    return replace(known, **facts)


def first(found: Case) -> Cause:
    return find_causes(found)[0]


def test_labels_that_come_at_another_rate_are_told_from_scores_that_moved() -> None:
    shifted, others = events(shift=0.15), {"intent=sell": Pair(events(seed=3), WELL)}

    cause = first(case("ece_bound", shifted, siblings=others))

    assert cause.kind is CauseKind.OUTCOME
    assert "none of 1 other slices moved so" in cause.evidence
    assert cause.score > 0.7


def test_scores_that_move_where_they_were_always_wrong_are_the_cause() -> None:
    """The upper half of the scores overstates, and lately all scores lie there."""
    low, high = events(1_800, top=0.3), events(200, seed=2)
    wrong = snap(0.6 + 0.3 * np.linspace(0, 1, 600), np.arange(600) % 3 == 0)

    found = find_causes(case("ece_bound", wrong + wrong + wrong + high, low + wrong))

    assert found[0].kind is CauseKind.SCORES
    assert "with the usual scores" in found[0].evidence


@pytest.mark.parametrize(
    ("name", "current", "kind"),
    [
        ("clamp_activation", events(clamped=0.3), CauseKind.CLAMPING),
        ("p99_latency", events(slow=6.0), CauseKind.LATENCY),
        ("score_range", events(bad=300), CauseKind.BAD_SCORES),
    ],
)
def test_what_the_promise_is_about_is_the_first_cause_if_nothing_else_moved(
    name: str, current: Snapshot, kind: CauseKind
) -> None:
    cause = first(case(name, current))

    assert (cause.kind, cause.stands_out) == (kind, True)
    assert cause.advice


def test_one_slice_that_carries_the_excess_comes_before_what_moved_in_it() -> None:
    good, bad = Pair(events(1_800, 3), events(1_800, 4)), Pair(events(200, 5, bad=100), events(200, 6))
    whole = Pair(good.current + bad.current, good.baseline + bad.baseline)
    parts = {"intent=buy,language=de": bad, "intent=buy,language=en": good}

    cause = first(case("score_range", whole.current, whole.baseline, parts=parts))

    assert cause.kind is CauseKind.SEGMENT
    assert cause.evidence.startswith("Intent=buy,language=de has 14.3 % of the rows and explains 100 % of the excess")


def test_a_new_version_that_errs_beside_the_old_one_is_the_cause() -> None:
    old, new = events(1_200, 3), events(800, 4, clamped=0.5, version="v2")
    versions = {"v1": Pair(old, WELL), "v2": Pair(new, Snapshot())}

    found = case("clamp_activation", old + new, versions=versions, arrivals={"v2": (ONSET - HOUR, 0.4)})

    cause = first(found)
    assert cause.kind is CauseKind.VERSION
    assert "took over 40 % of the traffic 1 h before it began" in cause.evidence
    assert "with the version that it replaces" in cause.evidence


@pytest.mark.parametrize(("harmed", "kind"), [(4, CauseKind.VERSION), (0, CauseKind.ALPHA)])
def test_a_version_that_serves_all_is_judged_by_the_other_slices_that_it_serves(harmed: int, kind: CauseKind) -> None:
    now = events(alpha=0.3, version="v2")
    spared = Pair(events(seed=5, version="v2"), WELL)
    siblings = {f"intent={i}": Pair(now, WELL) if i < harmed else spared for i in range(4)}
    versions = {"v1": Pair(Snapshot(), WELL), "v2": Pair(now, Snapshot())}
    weekly: dict[str, Any] = {
        "is_weekly": True,
        "siblings": siblings,
        "versions": versions,
        "arrivals": {"v2": (ONSET, 1.0)},
    }

    causes = find_causes(case("clamp_alpha", now, **weekly))

    assert causes[0].kind is kind
    assert {CauseKind.VERSION, CauseKind.ALPHA} == {one.kind for one in causes if one.stands_out}


def test_a_version_of_another_model_is_no_witness() -> None:
    buggy, other = events(1_000, 3, bad=200, version="a2"), events(1_000, 4, version="b1")
    versions = {"a1": Pair(Snapshot(), WELL), "a2": Pair(buggy, Snapshot()), "b1": Pair(other, events(1_000, 6))}
    models = {name: Manifest(name, model=name[0]) for name in versions}

    found = case("score_range", buggy + other, WELL, versions=versions, manifests=models, arrivals={"a2": (ONSET, 0.5)})

    (cause,) = [one for one in find_causes(found) if one.kind is CauseKind.VERSION]
    assert "replaces" not in cause.evidence


def test_a_version_that_came_long_before_or_after_is_not_named() -> None:
    versions = {"v2": Pair(events(bad=300, version="v2"), Snapshot())}
    for at in (ONSET - timedelta(days=4), ONSET + HOUR):
        found = case("score_range", versions["v2"].current, versions=versions, arrivals={"v2": (at, 1.0)})
        assert all(one.kind is not CauseKind.VERSION for one in find_causes(found))


def test_missing_labels_and_unusual_traffic_are_named_as_coincidence() -> None:
    few = events(known=0.2, shift=0.02)

    kinds = {one.kind: one for one in find_causes(case("ece_bound", few, pace=Pace(9_000, 3_000, 12.0)))}

    assert kinds[CauseKind.COVERAGE].evidence.startswith("21.6 % of the events have a label, 100 % usually")
    assert "9,000 rows in an hour that usually has 3,000" in kinds[CauseKind.VOLUME].evidence
    assert kinds[CauseKind.VOLUME].score == pytest.approx(0.24)


def test_nothing_stands_out_where_nothing_moved_or_nothing_is_known() -> None:
    for found in (
        case("ece_bound", events(seed=2)),
        case("ece_bound", Snapshot()),
        case("p99_latency", WELL, Snapshot()),
    ):
        assert find_causes(found)[0] == NO_CAUSE
    assert not NO_CAUSE.stands_out


def test_an_indicator_that_fails_explains_nothing() -> None:
    def broken(_: Evidence) -> Estimate:
        raise ZeroDivisionError

    found = case("ece_bound", events(shift=0.2))

    assert find_causes(replace(found, slo=replace(found.slo, sli=broken)))[0] == NO_CAUSE


def test_scores_compare() -> None:
    one = Cause(CauseKind.SCORES, 0.5, "", "")

    assert [unusualness(score) for score in (0.0, -2.0, 3.5, -9.0)] == [0.0, 0.0, 0.5, 1.0]
    assert ranked([one, replace(one, score=0.8), replace(one, score=0.05)]) == (replace(one, score=0.8), one)
    assert ranked([replace(one, score=STANDS_OUT - 0.01)])[0] == NO_CAUSE


def test_the_mix_of_slices_can_be_the_cause() -> None:
    """Each slice is as it was, but the one that always overstated has grown from a tenth to half."""
    steady, wrong = events(900, 3), events(100, 4, shift=0.3)
    grown = merge([wrong] * 9)
    siblings = {"a": Pair(steady, steady), "b": Pair(grown, wrong)}

    found = case("ece_bound", steady + grown, steady + wrong, parts=siblings, siblings=siblings)

    mix = next(one for one in find_causes(found) if one.kind is CauseKind.MIX)
    assert mix.evidence.startswith("The mix of slices moved, b most, from 10 % to 50 % of the rows")
    assert mix.score > 0.7
