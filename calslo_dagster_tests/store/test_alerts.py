"""Alerts come back as they were, and a subject never has two that are open."""

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy.exc import IntegrityError

from calslo_dagster.alerting.model import Alert, AlertState, Finding, Kind
from calslo_dagster.store import alerts
from calslo_dagster.store.session import Lock, Store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW, alert

PENDING = alert("intent=other", state=AlertState.PENDING, incident_id=None, fired_at=None, finding=Finding())
FIRING = alert()
RESOLVED = replace(FIRING, state=AlertState.RESOLVED, resolved_at=NOW + MINUTE, reason="is well again")
AGAIN = alert(episode=2, since=NOW + 2 * MINUTE)


def test_an_alert_comes_back_as_it_was(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        alerts.put(session, [FIRING, PENDING])

    with store.read() as session:
        assert sorted(alerts.open_ones(session), key=lambda a: a.id) == sorted([FIRING, PENDING], key=lambda a: a.id)
        assert alerts.of_incident(session, "incident") == (FIRING,)


def test_an_alert_that_is_resolved_is_no_longer_open_and_is_the_last_of_its_subject(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        alerts.put(session, [FIRING])
        alerts.put(session, [RESOLVED])

    with store.read() as session:
        assert alerts.open_ones(session) == ()
        assert alerts.last_by_fingerprint(session, [FIRING.subject.fingerprint, "unknown"]) == {
            FIRING.subject.fingerprint: RESOLVED
        }


def test_an_episode_closes_before_the_next_one_opens_whatever_the_order_given(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        alerts.put(session, [FIRING])
        alerts.put(session, [AGAIN, RESOLVED])

    with store.read() as session:
        assert alerts.open_ones(session) == (AGAIN,)
        assert alerts.of_fingerprint(session, FIRING.subject.fingerprint) == (RESOLVED, AGAIN)
        assert alerts.last_by_fingerprint(session, [FIRING.subject.fingerprint]) == {FIRING.subject.fingerprint: AGAIN}


def test_a_slice_that_comes_and_goes_is_one_member_of_its_incident(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        alerts.put(session, [RESOLVED, PENDING])
        alerts.put(session, [AGAIN])

    with store.read() as session:
        assert alerts.of_incident(session, "incident") == (RESOLVED, AGAIN)
        assert alerts.members(session, "incident") == (AGAIN,)
        assert alerts.count_firing(session, Kind.BREACH) == 1
        assert alerts.count_firing(session, Kind.BURN) == 0


def test_the_first_and_the_worst_alert_of_an_incident_may_be_of_an_earlier_episode(store: Store) -> None:
    worst = replace(RESOLVED, finding=replace(RESOLVED.finding, excess=9.5))
    with store.write(Lock.ALERTS) as session:
        assert alerts.extremes(session, "incident") == ()
        alerts.put(session, [worst, AGAIN])

        assert alerts.extremes(session, "incident") == (worst, worst)
        alerts.put(session, [replace(AGAIN, finding=replace(AGAIN.finding, excess=10.0))])
        assert [one.episode for one in alerts.extremes(session, "incident")] == [worst.episode, AGAIN.episode]


@pytest.mark.parametrize("second", [AGAIN, replace(FIRING, id="another")])
def test_a_second_open_alert_of_a_subject_or_a_second_one_of_an_episode_is_refused(store: Store, second: Alert) -> None:
    with store.write(Lock.ALERTS) as session:
        alerts.put(session, [FIRING])

    with pytest.raises(IntegrityError), store.write(Lock.ALERTS) as session:
        alerts.put(session, [second])


def test_many_alerts_are_found_at_once(store: Store) -> None:
    """More than one statement can name."""
    found = [alert(f"intent=i{number}") for number in range(6_000)]
    with store.write(Lock.ALERTS) as session:
        alerts.put(session, found)

    with store.read() as session:
        last = alerts.last_by_fingerprint(session, (one.subject.fingerprint for one in found))
    assert last == {one.subject.fingerprint: one for one in found}


def test_the_last_episode_of_a_subject_is_never_pruned(store: Store) -> None:
    ended = replace(AGAIN, state=AlertState.RESOLVED, resolved_at=NOW + 3 * MINUTE)
    with store.write() as session:
        alerts.put(session, [RESOLVED, ended, PENDING])

        assert alerts.prune(session, NOW) == 0
        assert alerts.prune(session, NOW + timedelta(days=1)) == 1
        assert alerts.of_fingerprint(session, FIRING.subject.fingerprint) == (ended,)
        assert alerts.open_ones(session) == (PENDING,)
