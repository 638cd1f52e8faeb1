"""What became of messages is on record, once each, and wakes people only where somebody should have been told."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.backoff import Backoff
from calslo_dagster.alerting.breaker import Terms
from calslo_dagster.alerting.model import Action
from calslo_dagster.channels.base import Failure, Receipt, Rejected, Retryable
from calslo_dagster.pipeline.note_outcome import Attempted, Outcome, Scribe, give_up
from calslo_dagster.store import alert_events, deliveries, troubles
from calslo_dagster.store.delivery_claims import claim
from calslo_dagster.store.migrations import upgrade
from calslo_dagster.store.session import Lock, Store, open_store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW, new_delivery, order

SCRIBE = Scribe("prod", Backoff(), Terms())
REFUSED = Rejected("slack: answered 400", Failure.CLIENT)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    upgrade(f"sqlite:///{tmp_path}/calslo.db")
    with open_store(f"sqlite:///{tmp_path}/calslo.db") as found:
        yield found


def tell(store: Store, action: Action, outcome: Outcome, n: int = 0) -> None:
    """Order a message, and note that this came of it."""
    at = NOW + n * MINUTE
    with store.write(Lock.ALERTS) as session:
        wanted = order(action=action, cause=str(n), not_before=at)
        deliveries.order(session, [new_delivery(wanted)], now=at)
    with store.write(Lock.NONE) as session:
        [held] = claim(session, token=str(n), now=at, lease=MINUTE, limit=1)
        SCRIBE.note(session, Attempted(held, at, at), outcome)


def record(store: Store) -> list[tuple[str, str]]:
    with store.read() as session:
        return [(one.event.kind, one.event.reason) for one in alert_events.of_incident(session, "incident")]


def ailing(store: Store) -> list[str]:
    with store.read() as session:
        return [one.component for one in troubles.open_ones(session)]


def test_the_first_message_that_a_channel_takes_of_an_incident_is_on_record_and_no_other(store: Store) -> None:
    for n, action in enumerate((Action.TRIGGER, Action.DIGEST, Action.RESOLVE)):
        tell(store, action, Receipt(), n)

    assert record(store) == [("delivered", "trigger to slack")]


def test_attempts_in_vain_fill_no_log(store: Store) -> None:
    tell(store, Action.TRIGGER, Retryable("slack: no connection", Failure.NETWORK))

    assert record(store) == []


@pytest.mark.parametrize("action", [one for one in Action if one is not Action.TEST])
def test_a_message_that_is_refused_is_on_record_and_wakes_people_if_somebody_misses_it(
    store: Store, action: Action
) -> None:
    tell(store, action, REFUSED)

    assert record(store) == [("given up", f"{action} to slack: slack: answered 400")]
    # Nobody was paged, so the update would have paged.
    is_missed = action in (Action.TRIGGER, Action.RESOLVE, Action.UPDATE)
    assert ailing(store) == (["delivery:slack"] if is_missed else [])


def test_an_update_of_what_is_known_there_is_not_missed(store: Store) -> None:
    tell(store, Action.TRIGGER, Receipt())
    tell(store, Action.UPDATE, REFUSED, 1)

    assert ailing(store) == []


def test_a_secret_that_is_refused_wakes_people_whatever_the_message_was(store: Store) -> None:
    tell(store, Action.DIGEST, Rejected("slack: answered 403", Failure.AUTH))

    assert ailing(store) == ["delivery:slack"]


def test_a_test_is_put_on_record_by_whoever_made_it(store: Store) -> None:
    tell(store, Action.TEST, Receipt())
    tell(store, Action.TEST, Rejected("slack: answered 403", Failure.AUTH), 1)

    assert (record(store), ailing(store)) == ([], [])


def test_whoever_has_lost_the_message_puts_nothing_on_record(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        deliveries.order(session, [new_delivery(order())], now=NOW)
    with store.write(Lock.NONE) as session:
        [held] = claim(session, token="a", now=NOW, lease=MINUTE, limit=1)
        lost = Attempted(replace(held, lease_token="b"), NOW, NOW)

        assert [SCRIBE.note(session, lost, outcome) for outcome in (Receipt(), REFUSED)] == [False, False]
    assert (record(store), ailing(store)) == ([], [])


def test_a_reminder_that_comes_too_late_is_on_record_and_wakes_nobody(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        late = new_delivery(order(action=Action.DIGEST), expires_at=NOW + timedelta(hours=4))
        deliveries.order(session, [late], now=NOW)
    with store.write(Lock.NONE) as session:
        assert give_up(session, now=NOW + timedelta(hours=5)) == 1

    assert record(store) == [("given up", "digest to slack: it could not be sent in time")]
    assert ailing(store) == []
