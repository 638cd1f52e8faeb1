"""Trends come back as they went in, by day, on both databases."""

from dataclasses import replace
from datetime import date, timedelta

import pytest

from calslo_dagster.slo.slice_trends import Quantity, SliceTrend
from calslo_dagster.stats.trend import Direction
from calslo_dagster.store import trends
from calslo_dagster.store.session import Store

DAY = date(2026, 3, 10)
NEXT = DAY + timedelta(days=1)
KNOWN = SliceTrend(
    slo="ece_bound",
    day=DAY,
    slice="language=de",
    quantity=Quantity.SHIFT,
    points=28,
    direction=Direction.DEGRADING,
    probability=0.98,
    p_degrading=0.98,
    per_day=0.01,
    se=0.002,
    z=5.0,
    limit_low=-0.1,
    limit_high=0.1,
    p7=0.1,
    p30=0.62,
    forecast=[[0.0, 0.1], [0.1, 0.2], [0.2, 0.3]],
    breach_on=date(2026, 3, 20),
    days_needed=0,
    reason="if the current trend continues",
)
SILENT = SliceTrend(
    slo="ece_bound",
    day=DAY,
    slice="language=fr",
    quantity=Quantity.EITHER,
    points=3,
    direction=Direction.UNKNOWN,
    probability=None,
    p_degrading=None,
    per_day=None,
    se=None,
    z=None,
    limit_low=None,
    limit_high=None,
    p7=None,
    p30=None,
    forecast=[],
    breach_on=None,
    days_needed=4,
    reason="too little data",
)


def test_trends_of_a_day_are_replaced(store: Store) -> None:
    later, other = replace(KNOWN, day=NEXT), replace(KNOWN, slo="other")
    with store.write() as session:
        trends.replace(session, "ece_bound", DAY, [SILENT, KNOWN, replace(KNOWN, slice="gone")])
        trends.replace(session, "ece_bound", NEXT, [later])
        trends.replace(session, "other", DAY, [other])
        trends.replace(session, "ece_bound", DAY, (row for row in (SILENT, KNOWN)))

    with store.read() as session:
        assert trends.of_day(session, "ece_bound", DAY) == (KNOWN, SILENT)
        assert trends.latest(session, "ece_bound") == (later,)
        assert trends.latest(session, "ece_bound", until=DAY) == (KNOWN, SILENT)
        assert trends.latest(session, "ece_bound", until=DAY - timedelta(days=1)) == ()
        assert trends.history(session, "ece_bound", "language=de", since=DAY) == (KNOWN, later)
        assert trends.of_day(session, "other", DAY) == (other,)


def test_trends_past_their_time_go(store: Store) -> None:
    with store.write() as session:
        trends.replace(session, "ece_bound", DAY, [KNOWN])
        trends.replace(session, "ece_bound", NEXT, [replace(KNOWN, day=NEXT)])

        assert trends.prune(session, NEXT) == 1
        assert trends.of_day(session, "ece_bound", DAY) == ()


def test_trends_of_another_day_are_refused(store: Store) -> None:
    with store.write() as session, pytest.raises(ValueError, match="1 rows are not of ece_bound on 2026-03-11"):
        trends.replace(session, "ece_bound", NEXT, [KNOWN])
