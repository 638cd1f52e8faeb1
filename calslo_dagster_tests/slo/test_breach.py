"""Breaches open, freeze, close and fold the same day by day as at once."""

import itertools
import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.breach import BreachState, Counts, Episode, Outcome, Track, fold
from calslo_dagster.slo.model import Cadence, Objective, Verdict
from calslo_dagster.slo.windows import STEP, WEEK
from calslo_dagster_tests.slo.samples import START, a_measurement, a_track, an_slo, outcomes

series = st.text("bmwuex", max_size=40)
policies = st.tuples(st.integers(1, 3), st.integers(1, 3))


def episodes(letters: str, **policy: int) -> tuple[Episode, ...]:
    return fold(a_track(**policy), BreachState(), outcomes(letters))[1]


def steps(instant: datetime | None) -> float:
    assert instant is not None
    return (instant - START) / STEP


def test_one_bad_window_opens_and_two_met_ones_close() -> None:
    (found,) = episodes("mbbmm")

    assert steps(found.onset) == 1
    assert steps(found.opened_at) == 2
    assert steps(found.recovery) == 3
    assert steps(found.closed_at) == 5
    assert steps(found.last_bad) == 3
    assert found.counts == Counts(breached=2)
    assert not found.is_open


def test_an_open_breach_is_returned_without_recovery() -> None:
    (found,) = episodes("mbbm")

    assert found.is_open
    assert found.lasted(START + 5 * STEP) == 4 * STEP


def test_a_single_met_window_between_bad_ones_belongs_to_the_breach() -> None:
    (found,) = episodes("bmbmm")

    assert found.counts == Counts(breached=2, met=1)
    assert steps(found.recovery) == 3


def test_warnings_close_a_breach_too() -> None:
    assert [e.is_open for e in episodes("bww")] == [False]


@pytest.mark.parametrize("frozen", "uex")
def test_unknown_error_and_excluded_windows_neither_open_nor_close(frozen: str) -> None:
    assert episodes(frozen * 5) == ()
    assert episodes(f"b{frozen * 9}")[0].is_open
    assert episodes(f"bm{frozen}")[0].is_open
    assert steps(episodes(f"bm{frozen}m")[0].recovery) == 1


def test_unknown_windows_do_not_reset_the_run_that_opens() -> None:
    (found,) = episodes("buub", open_after=2)

    assert (steps(found.onset), steps(found.opened_at)) == (0, 4)
    assert found.counts == Counts(breached=2, unknown=2)


def test_a_met_window_resets_the_run_that_opens() -> None:
    assert episodes("bmbmb", open_after=2) == ()


def test_onset_is_the_first_bad_bucket_even_if_the_breach_opens_later() -> None:
    (found,) = episodes("mmbbb", open_after=3)

    assert (steps(found.onset), steps(found.opened_at)) == (2, 5)


def test_the_peak_is_the_window_furthest_past_its_limit() -> None:
    rows = [
        Outcome(START + STEP, Verdict.BREACHED, value=0.03, excess=1.0, reason="first"),
        Outcome(START + 2 * STEP, Verdict.BREACHED, value=0.05, excess=0.5, reason="looser limit"),
        Outcome(START + 3 * STEP, Verdict.BREACHED, value=0.031, excess=1.1, reason="worst"),
    ]

    (found,) = fold(a_track(), BreachState(), rows)[1]

    assert (found.peak, found.peak_excess, found.peak_at, found.reason) == (0.031, 1.1, START + 3 * STEP, "worst")


def test_a_missing_window_counts_as_unknown() -> None:
    rows = [*outcomes("b"), *outcomes("b", first=4)]

    (found,) = fold(a_track(), BreachState(), rows)[1]

    assert found.counts == Counts(breached=2, unknown=3)


def test_a_second_breach_is_another_episode_with_another_id() -> None:
    first, second = episodes("bmmbmm")

    assert first.id != second.id
    assert len(first.id) == 16
    assert episodes("bmm")[0].id == first.id


def test_the_id_tells_tracks_apart() -> None:
    tracks = [Track(slo, name, model, STEP) for slo in "ab" for name in "xy" for model in "mn"]

    found = {fold(track, BreachState(), outcomes("b"))[1][0].id for track in tracks}

    assert len(found) == 8


def test_a_provisional_window_opens_a_breach_which_is_provisional() -> None:
    (found,) = episodes("mmB")

    assert found.is_open
    assert found.is_provisional


def test_provisional_windows_never_close_a_breach() -> None:
    (found,) = episodes("bMMMM")

    assert found.is_open
    assert not found.is_provisional


def test_provisional_windows_leave_no_trace_in_the_state() -> None:
    settled, _ = fold(a_track(), BreachState(), outcomes("mbm"))
    live, _ = fold(a_track(), BreachState(), outcomes("mbmBMB"))

    assert live == settled
    assert steps(live.through) == 3


def test_final_windows_after_a_provisional_one_are_folded_again_next_time() -> None:
    state, found = fold(a_track(), BreachState(), outcomes("bMmm"))

    assert found[0].is_provisional
    assert not found[0].is_open
    assert steps(state.through) == 1


def test_a_provisional_breach_that_is_not_confirmed_is_withdrawn() -> None:
    state, opened = fold(a_track(), BreachState(), outcomes("mB"))
    _, confirmed = fold(a_track(), state, outcomes("m", first=1))

    assert len(opened) == 1
    assert confirmed == ()


@given(st.lists(series, max_size=5), policies)
def test_folding_day_by_day_equals_folding_at_once(days: list[str], policy: tuple[int, int]) -> None:
    track, state, by_id, first = a_track(*policy), BreachState(), {}, 0
    for day in days:
        state, found = fold(track, BreachState.from_json(json.loads(json.dumps(state.to_json()))), outcomes(day, first))
        by_id.update({e.id: e for e in found})
        first += len(day)

    whole_state, whole = fold(track, BreachState(), outcomes("".join(days)))

    assert state == whole_state
    assert list(by_id.values()) == list(whole)


@given(series, policies)
def test_episodes_are_ordered_disjoint_and_begin_with_a_bad_window(letters: str, policy: tuple[int, int]) -> None:
    found = episodes(letters, open_after=policy[0], close_after=policy[1])

    for episode in found:
        assert letters[int(steps(episode.onset))] == "b"
        assert episode.counts.breached >= policy[0]
        assert episode.recovery is None or episode.onset < episode.last_bad <= episode.recovery
    for earlier, later in itertools.pairwise(found):
        assert earlier.recovery is not None
        assert earlier.recovery <= later.onset
    assert all(not e.is_open for e in found[:-1])


@given(series, st.text("bmwuexBMWUEX", max_size=10), policies)
def test_the_open_bucket_never_changes_what_the_final_windows_said(
    letters: str, live: str, policy: tuple[int, int]
) -> None:
    track = a_track(*policy)
    state, settled = fold(track, BreachState(), outcomes(letters))
    shown_state, shown = fold(track, BreachState(), outcomes(letters + live.upper()))

    assert shown_state == state
    assert {e.id for e in settled} <= {e.id for e in shown}
    assert all(e.is_provisional for e in shown if e.id not in {s.id for s in settled})


def test_windows_that_were_folded_before_are_refused() -> None:
    state, _ = fold(a_track(), BreachState(), outcomes("mm"))

    with pytest.raises(ValueError, match="does not follow"):
        fold(a_track(), state, outcomes("m"))


def test_an_outcome_ranks_by_the_limits_of_its_own_row() -> None:
    slo = an_slo(objective=Objective(at_most=0.015))
    row = a_measurement(Verdict.BREACHED, value=0.06, threshold=0.03, reason="Too high.", is_final=False)

    found = Outcome.of(slo, row)

    assert (found.value, found.excess, found.reason, found.is_final) == (0.06, 1.0, "Too high.", False)
    assert Outcome.of(slo, a_measurement(Verdict.UNKNOWN, value=None)).excess == 0.0


@pytest.mark.parametrize(
    ("minutes", "at_most", "verdict"),
    [(5, 0.1, Verdict.UNKNOWN), (8, 0.1, Verdict.BREACHED), (5, 0.0, Verdict.BREACHED)],
)
def test_a_window_that_has_hardly_begun_opens_no_breach_unless_nothing_can_heal_it(
    minutes: int, at_most: float, verdict: Verdict
) -> None:
    row = a_measurement(Verdict.BREACHED, value=0.5, threshold=at_most, is_final=False)
    seen = row.window_start + timedelta(minutes=minutes)

    found = Outcome.of(an_slo(objective=Objective(at_most=at_most)), row, seen=seen)

    assert (found.verdict, found.is_final) == (verdict, False)
    assert Outcome.of(an_slo(), replace(row, is_final=True), seen=seen).verdict is Verdict.BREACHED


@pytest.mark.parametrize(
    ("letters", "onset", "opened"),
    [
        ("bmbmb", 0, 5),
        ("bmmbmb", None, None),
        ("bmmbmbb", 3, 7),
        ("bubub", 0, 5),
        ("bbb", 0, 3),
        ("bmmmbbb", 4, 7),
    ],
)
def test_three_of_five_windows_open_a_breach_that_begins_with_the_first_of_them(
    letters: str, onset: int | None, opened: int | None
) -> None:
    track = replace(a_track(), open_after=3, open_within=5)

    _, found = fold(track, BreachState(), outcomes(letters))

    places = [((e.onset - START) // STEP, (e.opened_at - START) // STEP) for e in found if e.opened_at]
    assert places == ([] if onset is None else [(onset, opened)])


@given(st.text("bmu", max_size=30), st.integers(0, 30))
def test_folding_in_parts_gives_the_same_when_breached_windows_need_not_be_in_a_row(letters: str, cut: int) -> None:
    track, rows = replace(a_track(), open_after=2, open_within=4), outcomes(letters)
    whole_state, whole = fold(track, BreachState(), rows)

    state, first = fold(track, BreachState(), rows[:cut])
    state, second = fold(track, BreachState.from_json(json.loads(json.dumps(state.to_json()))), rows[cut:])

    merged = {episode.id: episode for episode in (*first, *second)}
    assert {e.id: e for e in whole} == merged
    assert state == whole_state


def test_a_track_takes_its_policy_from_the_slo() -> None:
    slo = an_slo(cadence=Cadence.WEEKLY, window=WEEK, open_after=3, close_after=4, open_within=5)

    assert Track.of(slo, "intent=a", "churn") == Track("sample", "intent=a", "churn", WEEK, 3, 4, 5)
