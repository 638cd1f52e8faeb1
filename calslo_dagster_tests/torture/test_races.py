"""Two processes at the same place at the same time, in the one order that matters."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from calslo_dagster.alerting.lifecycle import advance
from calslo_dagster.alerting.model import Action, DeliveryStatus
from calslo_dagster.pipeline.advance_alerts import decide, picture_at, write_change
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import deliveries, incidents
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_claims import claim
from calslo_dagster.store.session import Lock
from calslo_dagster_tests.peers.running import Peer
from calslo_dagster_tests.store.alert_builders import NOW, new_delivery
from calslo_dagster_tests.torture import actors

NOBODY = Peer("http://127.0.0.1:9", Path("nowhere"))


@pytest.fixture
def ending(tmp_path: Path, postgresql_database: str) -> Iterator[Project]:
    """Yield a project with an incident of which nobody has been told yet and which is over."""
    project = actors.open_at(actors.write_settings(tmp_path, NOBODY), postgresql_database, migrate=True)
    with project.store:
        actors.turn(project, "m0")
        actors.look(project)
        actors.turn(project, "m0")
        yield project


def claimed(project: Project) -> list[Delivery]:
    with project.store.write(Lock.NONE) as session:
        return list(claim(session, token="other", now=actors.utc_now(), lease=actors.PACE.lease, limit=4))


def found(project: Project) -> list[Delivery]:
    with project.store.read() as session:
        [incident] = incidents.recent(session)
        return list(deliveries.of_incident(session, incident.id))


def test_nobody_takes_a_page_while_its_incident_is_being_resolved(ending: Project) -> None:
    with ending.store.write(Lock.ALERTS) as session:
        deliveries.hold_waiting(session, [one.id for one in incidents.open_ones(session)])
        picture = picture_at(session, ending, actors.utc_now())
        assert claimed(ending) == []
        write_change(session, ending, picture, advance(picture, actors.rules(ending)))

    assert {one.status for one in found(ending)} == {DeliveryStatus.SUPERSEDED}


def test_a_page_that_was_taken_before_its_incident_is_resolved_is_followed_by_the_end(ending: Project) -> None:
    taken = claimed(ending)
    with ending.store.write(Lock.ALERTS) as session:
        decide(session, ending, actors.rules(ending), actors.utc_now())

    ended = [one.channel for one in found(ending) if one.action is Action.RESOLVE]
    # Once now, and once more when whatever was on its way must have arrived.
    assert sorted(ended) == sorted(2 * [one.channel for one in taken])


def test_what_is_too_late_is_given_up_by_one_of_two_at_once(ending: Project) -> None:
    with ending.store.write(Lock.ALERTS) as session:
        deliveries.order(session, [new_delivery(expires_at=NOW)], now=NOW)

    with ending.store.write(Lock.NONE) as one, ending.store.write(Lock.NONE) as other:
        assert [lost.incident_id for lost in deliveries.expire(one, now=NOW)] == ["incident"]
        assert deliveries.expire(other, now=NOW) == ()
