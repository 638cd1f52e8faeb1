"""Breaches, the checkpoints of their fold and the days still to fold come back as they went in."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from calslo_dagster.slo.breach import BreachState, Counts, Episode
from calslo_dagster.store import breach_states, breaches, unfolded_days
from calslo_dagster.store.breach_states import Checkpoint
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.session import Store
from calslo_dagster.store.unfolded_days import UnfoldedDay
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, STEP

HOUR = timedelta(hours=1)
EPISODE = Episode(
    id="0123456789abcdef",
    slo="ece_bound",
    slice="intent=refund",
    model="intent",
    onset=DAY,
    last_bad=DAY + 3 * HOUR,
    opened_at=DAY + STEP,
    recovery=DAY + 4 * HOUR,
    closed_at=DAY + 5 * HOUR,
    peak=0.04,
    peak_excess=1.5,
    peak_at=DAY + HOUR,
    reason="0.04 is above 0.015",
    counts=Counts(breached=12, met=2, unknown=1, excluded=3),
    is_provisional=True,
)
CLOSED = Breach.of(EPISODE, (-0.01, 0.015))
OPEN = Breach.of(replace(EPISODE, id="open", onset=DAY + HOUR, recovery=None, closed_at=None, peak=None), 0.015)


def test_a_breach_is_its_episode_with_a_threshold(store: Store) -> None:
    with store.write() as session:
        breaches.replace_since(session, "ece_bound", [OPEN, CLOSED], since=DAY)

    with store.read() as session:
        assert breaches.between(session, start=DAY, end=NEXT_DAY) == (CLOSED, OPEN)
        assert breaches.by_id(session, CLOSED.id) == CLOSED
        assert breaches.by_id(session, "none") is None
        assert breaches.open_ones(session) == breaches.open_ones(session, "ece_bound") == (OPEN,)
        assert breaches.open_ones(session, "other") == ()
        assert breaches.ids(session) == {CLOSED.id, "open"}
    assert CLOSED.episode == EPISODE
    assert (CLOSED.is_open, OPEN.is_open) == (False, True)


def test_folding_again_withdraws_what_is_no_longer_found_and_keeps_what_closed_before(store: Store) -> None:
    other = replace(OPEN, id="other", slo="score_range")
    with store.write() as session:
        breaches.replace_since(session, "ece_bound", [OPEN, CLOSED], since=DAY)
        breaches.replace_since(session, "score_range", [other], since=DAY)
        breaches.replace_since(session, "ece_bound", [], since=CLOSED.closed_at or DAY)

    with store.read() as session:
        assert breaches.ids(session) == {CLOSED.id, "other"}


def test_a_breach_shares_time_with_a_span_up_to_its_recovery(store: Store) -> None:
    with store.write() as session:
        breaches.replace_since(session, "ece_bound", [CLOSED], since=DAY)

    with store.read() as session:
        assert breaches.between(session, start=DAY + 4 * HOUR, end=NEXT_DAY) == ()
        assert breaches.between(session, start=DAY - HOUR, end=DAY) == ()
        assert breaches.between(session, start=DAY + 3 * HOUR, end=NEXT_DAY, slo="ece_bound") == (CLOSED,)


def test_an_episode_that_has_not_opened_is_no_breach() -> None:
    with pytest.raises(ValueError, match="has not opened"):
        Breach.of(replace(EPISODE, opened_at=None), None)


def test_the_last_checkpoint_before_a_day_is_found_for_each_slice(store: Store) -> None:
    def point(name: str, day: int, hours: int) -> Checkpoint:
        return Checkpoint("ece_bound", name, date(2026, 3, day), BreachState(DAY + hours * HOUR, EPISODE))

    first, second, other = point("*", 1, 1), point("*", 3, 2), point("b", 2, 3)
    with store.write() as session:
        breach_states.put(session, [first, second, other])
        breach_states.put(session, [first])

    with store.write() as session:
        assert breach_states.at_day(session, "ece_bound", date(2026, 3, 2)) == {"*": first.state, "b": other.state}
        assert breach_states.at_day(session, "ece_bound", date(2026, 3, 3))["*"] == second.state
        assert breach_states.at_day(session, "score_range", date(2026, 3, 3)) == {}
        breach_states.forget(session, "ece_bound", after=date(2026, 3, 2), before=date(2026, 3, 2))
        assert breach_states.at_day(session, "ece_bound", date(2026, 3, 9)) == {"b": other.state}
        breach_states.forget(session, "ece_bound")
        assert breach_states.at_day(session, "ece_bound", date(2026, 3, 9)) == {}


def test_days_to_fold_are_marked_once_and_cleared(store: Store) -> None:
    with store.write() as session:
        unfolded_days.mark(session, "ece_bound", [date(2026, 3, 2), date(2026, 3, 1), date(2026, 3, 2)])
        unfolded_days.mark(session, "ece_bound", [date(2026, 3, 1)])
        unfolded_days.mark(session, "ece_bound", [])
        days = unfolded_days.every(session)
        unfolded_days.clear(session, days[:1])

        assert days == (UnfoldedDay("ece_bound", date(2026, 3, 1)), UnfoldedDay("ece_bound", date(2026, 3, 2)))
        assert unfolded_days.every(session) == days[1:]
