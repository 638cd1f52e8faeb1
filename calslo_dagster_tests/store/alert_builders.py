"""Alerts, incidents and messages for the tests of the store, plausible unless told otherwise."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from calslo_dagster.alerting.facts import Facts, Member
from calslo_dagster.alerting.model import (
    Action,
    Alert,
    AlertState,
    Event,
    Finding,
    Incident,
    IncidentState,
    Kind,
    Order,
    Severity,
    Subject,
    identity,
)
from calslo_dagster.store.deliveries import NewDelivery

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FINDING = Finding(
    value=0.083,
    low=0.071,
    high=0.096,
    events=41_280,
    limit=(-0.01, 0.05),
    excess=0.66,
    reason="0.083 is above 0.05",
    window_start=NOW - timedelta(days=1),
    window_end=NOW,
)


def alert(slice_: str = "intent=refund", episode: int = 1, **changes: Any) -> Alert:
    """Return a firing alert of `ece_bound`."""
    subject = Subject(Kind.BREACH, "ece_bound", slice_, "intent", "prod")
    made = Alert(
        id=identity(subject.fingerprint, str(episode)),
        episode=episode,
        subject=subject,
        state=AlertState.FIRING,
        severity=Severity.CRITICAL,
        since=NOW - MINUTE,
        seen_at=NOW,
        finding=FINDING,
        values={"intent": "refund 🙂"},
        source_id="breach-1",
        incident_id="incident",
        fired_at=NOW,
    )
    return replace(made, **changes)


def incident(group_key: str = "breach|ece_bound|intent|prod", episode: int = 1, **changes: Any) -> Incident:
    """Return an incident that fires."""
    made = Incident(
        id=identity(group_key, str(episode)),
        group_key=group_key,
        episode=episode,
        labels={"slo": "ece_bound", "model": "intent"},
        state=IncidentState.FIRING,
        severity=Severity.CRITICAL,
        peak_severity=Severity.EMERGENCY,
        opened_at=NOW,
        members=3,
        next_repeat_at=NOW + 60 * MINUTE,
    )
    return replace(made, **changes)


def event(incident_id: str = "incident", **changes: Any) -> Event:
    """Return the event that an incident has opened."""
    made = Event(
        incident_id=incident_id,
        kind="opened",
        at=NOW,
        reason="1 slice is breached: 0.083 is above 0.05 ≠ ü",
        payload={"slices": ["b", "a"], "share": 0.1, "deep": {"z": None, "a": [1, 2]}},
    )
    return replace(made, **changes)


def facts(**changes: Any) -> Facts:
    """Return what a message may say."""
    made = Facts(
        incident_id="incident",
        episode=1,
        kind="breach",
        slo="ece_bound",
        model="intent",
        environment="prod",
        severity=Severity.CRITICAL,
        since=NOW - MINUTE,
        opened_at=NOW,
        at=NOW,
        worst=(Member("intent=refund", NOW - MINUTE, FINDING),),
    )
    return replace(made, **changes)


def order(incident_id: str = "incident", channel: str = "slack", **changes: Any) -> Order:
    """Return an order to page about an incident now."""
    made = Order(incident_id, channel, Action.TRIGGER, "1:0", "policy default, round 1, step 1", NOW)
    return replace(made, **changes)


def new_delivery(wanted: Order | None = None, **changes: Any) -> NewDelivery:
    """Return what carries out the order."""
    wanted = wanted or order()
    made = NewDelivery(wanted, facts(incident_id=wanted.incident_id), dedup_key=f"calslo-{wanted.incident_id}")
    return replace(made, **changes)
