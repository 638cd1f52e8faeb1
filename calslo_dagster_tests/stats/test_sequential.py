"""Detectors: the promise on false alarms, states that survive a restart, and drifts that are found."""

import json
import math

import numpy as np
import pytest

from calslo_dagster.errors import SnapshotError
from calslo_dagster.stats.baseline import Baseline
from calslo_dagster.stats.batches import Batch, Floats
from calslo_dagster.stats.sequential import HEAD_START, Detector, Mixture
from calslo_dagster.stats.tilts import Kind, family
from calslo_dagster_tests.builders import snap

SPREAD = Baseline.of(snap(np.linspace(0.02, 0.98, 200), np.zeros(200)))


def batches(count: int, *, seed: int, size: int = 100, shift: float = 0.0) -> list[Batch]:
    """Return batches of evenly spread scores whose true logit is off by `shift`."""
    rng = np.random.default_rng(seed)
    return [Batch.of(snap(*drawn(rng, size, shift))) for _ in range(count)]


def drawn(rng: np.random.Generator, size: int, shift: float) -> tuple[Floats, Floats]:
    p = rng.uniform(0.02, 0.98, size)
    truth = p / (p + (1 - p) * math.exp(-shift))
    return p, (rng.random(size) < truth).astype(np.float64)


def run(kind: Kind, stream: list[Batch], *, epoch: str = "v1") -> Detector:
    detector = Detector.fresh(kind, epoch)
    for at, batch in enumerate(stream):
        detector = detector.step(batch, SPREAD, at=at)
    return detector


def first_alarm(kind: Kind, stream: list[Batch], threshold: float) -> int | None:
    detector = Detector.fresh(kind, "")
    for at, batch in enumerate(stream):
        detector = detector.step(batch, SPREAD, at=at)
        if detector.statistic >= threshold:
            return at
    return None


def test_evidence_grows_by_one_per_batch_of_fair_bets() -> None:
    state = Mixture.empty(2)
    for at in range(5):
        state = state.after(np.zeros(2), at)

    assert (state.mass.tolist(), state.updates) == ([5.0, 5.0], 5)
    assert state.start.tolist() == [2.0, 2.0]


def test_the_mean_of_the_evidence_is_at_most_the_number_of_batches() -> None:
    """Two outcomes of mean 1 per batch, all 2^8 paths: the mean of M is 8 on top of its head start."""
    gains, total = (math.log(0.25), math.log(1.75)), 0.0
    for path in range(2**8):
        state = Mixture.empty(1, head_start=3)
        for k in range(8):
            state = state.after(np.array([gains[path >> k & 1]]), k)
        total += float(state.mass[0]) / 2**8

    assert total == pytest.approx(8 + 3)


def test_alarms_times_threshold_and_evidence_grow_by_one_per_batch() -> None:
    """The promise itself, over all paths: A * E[alarms in t] <= t."""
    gains, threshold, alarms = (math.log(0.25), math.log(1.75)), 4.0, 0.0
    for path in range(2**10):
        state = Mixture.empty(1)
        for k in range(10):
            state = state.after(np.array([gains[path >> k & 1]]), k)
            if state.mass[0] >= threshold:
                alarms += 1 / 2**10
                state = Mixture.empty(1)

    assert 0.3 * 10 <= threshold * alarms <= 10


@pytest.mark.parametrize("kind", Kind)
def test_a_restart_after_any_batch_changes_no_bit(kind: Kind) -> None:
    stream = batches(12, seed=3, shift=0.3)
    through = run(kind, stream)
    restarted = Detector.fresh(kind, "v1")
    for at, batch in enumerate(stream):
        restarted = Detector.loaded(restarted.step(batch, SPREAD, at=at).dumped())

    assert restarted.dumped() == through.dumped() == run(kind, stream).dumped()
    assert restarted.statistic == through.statistic


@pytest.mark.parametrize("kind", Kind)
def test_a_state_survives_before_its_first_batch(kind: Kind) -> None:
    fresh = Detector.fresh(kind, "v1")

    assert Detector.loaded(fresh.dumped()).dumped() == fresh.dumped()
    assert fresh.statistic == pytest.approx(HEAD_START)
    assert fresh.e_value == pytest.approx(1.0)


@pytest.mark.parametrize(
    "change", [{"format": 0}, {"kind": "other"}, {"mass": "AAAA"}, {"mass": "?"}, {"updates": None}, {"start": 1}]
)
def test_a_state_of_another_make_is_refused(change: dict[str, object]) -> None:
    state = json.loads(Detector.fresh(Kind.CHANGE, "v1").dumped())

    with pytest.raises(SnapshotError, match="start it afresh"):
        Detector.loaded(json.dumps(state | change))
    with pytest.raises(SnapshotError):
        Detector.loaded("{")


def test_a_new_epoch_starts_afresh() -> None:
    stream = batches(6, seed=4, shift=0.5)
    old = run(Kind.CHANGE, stream[:5], epoch="v1")

    kept, renewed = (old.step(stream[5], SPREAD, at=5, epoch=epoch) for epoch in ("v1", "v2"))

    assert kept.mixture.updates == HEAD_START + 6
    assert renewed.dumped() == Detector.fresh(Kind.CHANGE, "v2").step(stream[5], SPREAD, at=5).dumped()


def test_a_batch_without_labels_changes_nothing() -> None:
    state = run(Kind.BREACH, batches(2, seed=5))

    assert state.step(Batch.of(snap([0.3], [None])), SPREAD, at=9) is state


def test_an_alarm_takes_the_evidence_but_not_what_was_learned() -> None:
    state = run(Kind.CHANGE, batches(5, seed=6, shift=0.5)).reset()

    assert (state.statistic, state.mixture.updates) == (0.0, 0)
    assert (state.e_value, state.evidence(100.0)) == (1.0, -math.inf)
    assert np.abs(state.learned.residual).max() > 0


def test_evidence_is_zero_at_the_threshold() -> None:
    state = Detector.fresh(Kind.CHANGE, "")

    assert state.evidence(state.statistic) == 0.0
    assert state.evidence(10 * state.statistic) == pytest.approx(-1.0)


def test_dispersion_slows_evidence_down() -> None:
    batch = batches(1, seed=7, size=2_000, shift=0.5)[0]
    fresh = Detector.fresh(Kind.CHANGE, "")
    one, two = (fresh.step(batch, SPREAD, at=0, dispersion=phi).statistic for phi in (1.0, 2.0))

    assert HEAD_START < two < one
    with pytest.raises(ValueError, match="a dispersion is at least 1"):
        fresh.step(batch, SPREAD, at=0, dispersion=0.9)


def test_certainty_that_is_always_wrong_gives_finite_evidence() -> None:
    wrong = Batch.of(snap(np.tile([0.0, 1.0], 5_000), np.tile([1.0, 0.0], 5_000)))
    state = run(Kind.CHANGE, [wrong] * 5)

    assert 1e100 < state.statistic <= 1e200


@pytest.mark.parametrize("kind", Kind)
def test_a_large_drift_is_found_and_named(kind: Kind) -> None:
    stream = batches(20, seed=8) + batches(40, seed=9, shift=0.6)
    at = first_alarm(kind, stream, 10_000.0)

    assert at is not None
    assert 20 <= at < 40
    name, start = run(kind, stream[: at + 1]).leading
    assert any(word in name for word in ("shift +", "too low", "learned"))
    assert 15 <= start <= at


def test_a_calibrated_model_and_a_harmless_error_raise_no_breach() -> None:
    """A shift of 0.06 is an error of two thirds of the tolerance."""
    harmless = batches(150, seed=10, shift=0.06)

    assert first_alarm(Kind.BREACH, batches(150, seed=11), 1_000.0) is None
    assert first_alarm(Kind.BREACH, harmless, 1_000.0) is None


def test_at_the_boundary_of_the_tolerance_evidence_for_a_breach_does_not_grow() -> None:
    """A shift of 0.0867 is an error of just the tolerance on these scores."""
    p = np.linspace(0.02, 0.98, 2_000)
    error = float(np.abs(p / (p + (1 - p) * math.exp(-0.0867)) - p).mean())
    finals = [run(Kind.BREACH, batches(150, seed=20 + k, shift=0.0867)).statistic for k in range(3)]

    assert error == pytest.approx(SPREAD.tolerance, rel=0.02)
    assert np.mean(finals) <= 150 + HEAD_START


def test_false_alarms_stay_within_their_promise() -> None:
    """600 batches at a threshold of 60: at most 10 are expected, 0 alarms would be a detector that sees nothing."""
    detector, alarms = Detector.fresh(Kind.CHANGE, "").reset(), 0
    for at, batch in enumerate(batches(600, seed=12, size=20)):
        detector = detector.step(batch, SPREAD, at=at)
        if detector.statistic >= 60:
            alarms, detector = alarms + 1, detector.reset()

    assert 1 <= alarms <= 20


def test_weights_of_the_families_are_shared() -> None:
    assert family(Kind.CHANGE) is family(Kind.CHANGE)
    assert not family(Kind.BREACH).weights.flags.writeable
