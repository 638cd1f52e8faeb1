"""Compares what the receivers saw with what the store says: what was lost, what came twice, what was left open."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from calslo_dagster.alerting.model import Action, DeliveryStatus, Incident, IncidentState
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import alert_events, deliveries, delivery_attempts, incidents
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_attempts import OK, Attempt
from calslo_dagster_tests.peers.running import Peer

# What PagerDuty is told by each action; several messages of an incident may mean the same there.
EVENTS: Final = {
    Action.TRIGGER: "trigger",
    Action.UPDATE: "trigger",
    Action.ACK: "acknowledge",
    Action.RESOLVE: "resolve",
}
PAGER: Final = "pager"
# Whoever decides reads the clock before it writes.
CLOCKS: Final = timedelta(seconds=1)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reckoning:
    """The books of the store and of the receivers, when all is over."""

    incidents: tuple[Incident, ...]
    messages: tuple[Delivery, ...]
    attempts: tuple[Attempt, ...]
    arrivals: Counter[str]
    pagers: tuple[Json, ...]
    sound: bool

    @classmethod
    def of(cls, project: Project, peer: Peer) -> "Reckoning":
        """Read all books."""
        with project.store.read() as session:
            known = incidents.recent(session, limit=100_000)
            found = tuple(one for i in known for one in deliveries.of_incident(session, i.id))
            tried = delivery_attempts.of_deliveries(session, [one.id for one in found])
            log = alert_events.verify(session)
        keys = Counter(key for entry in peer.journal() if entry["taken"] for key in _keys(entry))
        return cls(known, found, tried, keys, tuple(peer.incidents()), log.broken_id is None and log.events > 0)

    def lost(self) -> Iterator[str]:
        """Yield what never came to an end, came to one without a reason, or never arrived although it is said to."""
        for one in self.messages:
            arrived = self.arrivals[_key(one)]
            if one.status in (DeliveryStatus.PENDING, DeliveryStatus.SENDING):
                yield f"{_told(one)} is still {one.status}"
            elif one.status is DeliveryStatus.SENT and not arrived and not _is_silent(one):
                yield f"{_told(one)} never arrived"
            elif one.status is not DeliveryStatus.SENT and not one.outcome:
                yield f"{_told(one)} is {one.status} without a reason"

    def unpaged(self, long: timedelta, now: datetime) -> Iterator[str]:
        """Yield the incidents that went on for long, or go on, and of which the pager was not told in that time."""
        paged = {one["dedup_key"] for one in self.pagers}
        for one in self.incidents:
            lasted = min(at for at in (one.resolved_at, one.acked_at, now) if at) - one.opened_at
            if lasted > long and one.dedup_key not in paged:
                yield f"incident {one.id} went on for {lasted} and nobody was paged"

    def hasty(self) -> Iterator[str]:
        """Yield the pages that were taken back while nobody had the incident and no newer one waited behind them."""
        known = {one.id: one for one in self.incidents}
        for one in self.messages:
            if one.action is Action.TRIGGER and one.status is DeliveryStatus.SUPERSEDED:
                incident = known[one.incident_id]
                reasons = [at for at in (incident.resolved_at, incident.acked_at) if at]
                if one.ended_at is not None and any(_is_newer(other, one, one.ended_at) for other in self.messages):
                    continue
                if not reasons or one.ended_at is None or one.ended_at < min(reasons) - CLOCKS:
                    yield f"{_told(one)} was taken back at {one.ended_at}, early for {reasons}: {one.outcome}"

    def left_open(self) -> Iterator[str]:
        """Yield what is over here and goes on at PagerDuty, or the other way round."""
        state = {one.dedup_key: one.state for one in self.incidents}
        for one in self.pagers:
            is_over = state[one["dedup_key"]] is IncidentState.RESOLVED
            if is_over is not (one["state"] == "resolved"):
                course = [_course(m) for m in self.messages if (m.channel, m.dedup_key) == (PAGER, one["dedup_key"])]
                yield f"{state[one['dedup_key']]} here, {one['state']} there after {one['events']}: {course}"

    def doubled(self) -> list[str]:
        """Return the keys under which PagerDuty has several incidents."""
        return [key for key, count in Counter(one["dedup_key"] for one in self.pagers).items() if count > 1]

    def repeats(self) -> Counter[str]:
        """Return how often each message arrived beyond the first time."""
        ordered = Counter(_key(one) for one in self.messages if one.attempts)
        return Counter({key: n - max(1, ordered[key]) for key, n in self.arrivals.items() if n > max(1, ordered[key])})

    def unexplained(self) -> Iterator[str]:
        """Yield the messages that arrived more often than attempts began whose sender was killed or stopped."""
        ids: dict[str, list[int]] = {}
        for one in self.messages:
            ids.setdefault(_key(one), []).append(one.id)
        cut_short = Counter(one.delivery_id for one in self.attempts if one.result != OK)
        for key, count in self.repeats().items():
            if count > sum(cut_short[number] for number in ids.get(key, [])):
                yield f"{key} came {count} times too often"

    def ambiguous(self) -> int:
        """Return how many attempts ended without an answer although their sender lived."""
        return sum(one.result not in (OK, delivery_attempts.LOST) for one in self.attempts)

    def ghosts(self) -> int:
        """Return how many incidents PagerDuty opened anew after their end; the echo has to have closed them."""
        return sum(one["events"].count("trigger") > 0 and "resolve" in one["events"][:-1] for one in self.pagers)


def _told(one: Delivery) -> str:
    return f"{one.action} {one.seq} of {one.incident_id} to {one.channel}"


def _course(one: Delivery) -> str:
    maybe = ", ambiguous" if one.ambiguous else ""
    return f"{one.action} {one.status} after {one.attempts} attempts{maybe}, {one.ordered_at:%M:%S.%f} {one.outcome}"


def _is_silent(one: Delivery) -> bool:
    return one.channel == PAGER and one.action is Action.DIGEST


def _is_newer(other: Delivery, one: Delivery, at: datetime) -> bool:
    """Whether the other is a page behind this one that was there at that time."""
    is_behind = (other.incident_id, other.channel) == (one.incident_id, one.channel) and other.seq > one.seq
    return is_behind and other.action is Action.TRIGGER and other.ordered_at <= at


def _key(one: Delivery) -> str:
    return f"{one.dedup_key} {EVENTS.get(one.action, '')}" if one.channel == PAGER else one.idem_key


def _keys(entry: Json) -> Iterable[str]:
    """Return the identity of the message in a line of the journal; edits of a Slack message do no harm twice."""
    if entry["path"].startswith("/webhook"):
        return [entry["headers"]["idempotency-key"]]
    said = json.loads(entry["body"])
    if entry["path"].startswith("/pagerduty"):
        return [f"{said['dedup_key']} {said['event_action']}"]
    return [said["metadata"]["event_payload"]["delivery_id"]] if entry["path"].endswith("chat.postMessage") else []
