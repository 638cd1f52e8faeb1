"""Anomalies and causes come back as they went in, and go when their day or breach is replaced."""

from dataclasses import replace

import pytest

from calslo_dagster.slo.causes import NO_CAUSE, Cause, CauseKind
from calslo_dagster.store import anomalies, breach_causes, breaches
from calslo_dagster.store.anomalies import Anomaly, AnomalyKind
from calslo_dagster.store.session import Store
from calslo_dagster_tests.store.builders import DAY, NEXT_DAY, STEP
from calslo_dagster_tests.store.test_breaches import CLOSED, OPEN

HOLE = Anomaly(
    day=DAY.date(),
    slice="*",
    kind=AnomalyKind.VOLUME,
    starts_at=DAY,
    ends_at=DAY + STEP,
    value=0.0,
    expected=100.0,
    low=60.0,
    high=150.0,
    score=-9.0,
    reason="0 rows an hour, 100 usually",
)
CAUSES = (
    Cause(CauseKind.SEGMENT, 0.9, "intent=refund explains it", "look there"),
    Cause(CauseKind.OUTCOME, 0.6, "labels came at another rate", "look at the feed"),
)


def test_a_day_replaces_what_it_found(store: Store) -> None:
    later = replace(HOLE, day=NEXT_DAY.date(), starts_at=NEXT_DAY, ends_at=NEXT_DAY + STEP, slice="intent=refund")
    with store.write() as session:
        anomalies.replace(session, [DAY.date(), NEXT_DAY.date()], [HOLE, later, replace(later, kind=AnomalyKind.SHAPE)])
    with store.write() as session:
        anomalies.replace(session, [NEXT_DAY.date()], [later])

    with store.read() as session:
        assert anomalies.between(session, start=DAY, end=NEXT_DAY + STEP) == (HOLE, later)
        assert anomalies.between(session, start=DAY, end=NEXT_DAY + STEP, slice_name="*") == (HOLE,)
        assert anomalies.between(session, start=DAY + STEP, end=NEXT_DAY) == ()
    with store.write() as session:
        assert anomalies.prune(session, NEXT_DAY) == 1
        with pytest.raises(ValueError, match="1 anomalies are of other days"):
            anomalies.replace(session, [DAY.date()], [later])


def test_causes_keep_their_order_and_are_replaced(store: Store) -> None:
    with store.write() as session:
        breaches.replace_since(session, "ece_bound", [CLOSED, OPEN], since=DAY)
        breach_causes.replace(session, CLOSED.id, CAUSES[::-1], basis="old", at=DAY)
        breach_causes.replace(session, CLOSED.id, CAUSES, basis="new", at=NEXT_DAY)
        breach_causes.replace(session, OPEN.id, [NO_CAUSE], basis="b", at=DAY)

    with store.read() as session:
        assert breach_causes.of(session, CLOSED.id) == CAUSES
        assert breach_causes.of(session, "none") == ()
        assert breach_causes.first(session, [CLOSED.id, OPEN.id, "none"]) == {CLOSED.id: CAUSES[0], OPEN.id: NO_CAUSE}
        assert breach_causes.first(session, [CLOSED.id, OPEN.id], until=DAY) == {OPEN.id: NO_CAUSE}
        assert breach_causes.bases(session, [CLOSED.id, OPEN.id]) == {CLOSED.id: "new", OPEN.id: "b"}


def test_causes_go_with_their_breach(store: Store) -> None:
    with store.write() as session:
        breaches.replace_since(session, "ece_bound", [CLOSED], since=DAY)
        for name in (CLOSED.id, "withdrawn"):
            breach_causes.replace(session, name, CAUSES, basis="b", at=DAY)

        assert breach_causes.forget_withdrawn(session) == 2
        assert breach_causes.forget_withdrawn(session) == 0
        assert breach_causes.of(session, CLOSED.id) == CAUSES


def test_a_breach_is_found_by_the_beginning_of_its_id_or_as_the_newest(store: Store) -> None:
    with store.write() as session:
        breaches.replace_since(session, "ece_bound", [CLOSED, OPEN], since=DAY)

    with store.read() as session:
        assert breaches.beginning_with(session, CLOSED.id[:4]) == (CLOSED,)
        assert breaches.beginning_with(session, "%") == breaches.beginning_with(session, "") == ()
        assert breaches.newest(session, "ece_bound") == OPEN
        assert breaches.newest(session, "ece_bound", "other") is breaches.newest(session, "other") is None
