"""Incidents come back as they were, and a group never has two that are open."""

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from calslo_dagster.alerting.model import Incident, IncidentState, Severity
from calslo_dagster.errors import StoreError
from calslo_dagster.store import incidents
from calslo_dagster.store.session import Lock, Store
from calslo_dagster_tests.store.alert_builders import MINUTE, NOW, incident

FIRING = incident(id="abc1")
ACKED = incident(
    "other",
    id="abd2",
    opened_at=NOW + MINUTE,
    state=IncidentState.ACKED,
    acked_by="ann",
    acked_at=NOW + 2 * MINUTE,
    ack_expires_at=NOW + 60 * MINUTE,
    suppressed_by="silence 3",
    acked_severity=Severity.WARNING,
    flaps=2,
    flaps_since=NOW - MINUTE,
)
RESOLVED = replace(
    FIRING, state=IncidentState.RESOLVED, resolved_at=NOW + 5 * MINUTE, resolved_by="bob", reason="well", members=0
)
AGAIN = incident(id="abc3", episode=2, opened_at=NOW + 6 * MINUTE)


@pytest.fixture
def filled(store: Store) -> Store:
    with store.write(Lock.ALERTS) as session:
        incidents.put(session, [FIRING, ACKED])
        incidents.put(session, [AGAIN, RESOLVED])
    return store


def test_incidents_come_back_as_they_were(filled: Store) -> None:
    with filled.read() as session:
        assert incidents.open_ones(session) == (ACKED, AGAIN)
        assert incidents.recent(session) == (AGAIN, ACKED, RESOLVED)
        assert incidents.recent(session, 1) == (AGAIN,)
        assert incidents.by_ids(session, ["abc1", "abd2", "none"]) == {"abc1": RESOLVED, "abd2": ACKED}
        assert incidents.last_by_group(session, [FIRING.group_key, "other", "none"]) == {
            FIRING.group_key: AGAIN,
            "other": ACKED,
        }


@pytest.mark.parametrize(
    ("written", "found"),
    [("abc1", RESOLVED), ("abd", ACKED), ("abd2", ACKED), ("abc3", AGAIN), ("b", None), ("", None), ("abd22", None)],
)
def test_the_beginning_of_an_id_is_enough(filled: Store, written: str, found: Incident | None) -> None:
    with filled.read() as session:
        assert incidents.by_id(session, written) == found


def test_the_beginning_of_several_ids_is_not_enough(filled: Store) -> None:
    with filled.read() as session, pytest.raises(StoreError, match="several incidents begin with ab; write more"):
        incidents.by_id(session, "ab")


def test_a_whole_id_that_others_begin_with_is_enough(filled: Store) -> None:
    longer = incident("longer", id="abc12")
    with filled.write(Lock.ALERTS) as session:
        incidents.put(session, [longer])

        assert incidents.by_id(session, "abc1") == RESOLVED


def test_an_incident_shares_time_with_a_span_up_to_its_end(filled: Store) -> None:
    with filled.read() as session:
        assert incidents.between(session, start=NOW, end=NOW + MINUTE) == (RESOLVED,)
        assert incidents.between(session, start=NOW + 5 * MINUTE, end=NOW + 6 * MINUTE) == (ACKED,)
        assert incidents.between(session, start=NOW + 4 * MINUTE, end=NOW + 7 * MINUTE) == (RESOLVED, ACKED, AGAIN)


def test_a_second_open_incident_of_a_group_is_refused(store: Store) -> None:
    with store.write(Lock.ALERTS) as session:
        incidents.put(session, [FIRING])

    with pytest.raises(IntegrityError), store.write(Lock.ALERTS) as session:
        incidents.put(session, [AGAIN])
