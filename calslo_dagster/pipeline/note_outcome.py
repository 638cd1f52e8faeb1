"""Write down what became of a message: in the outbox, in the state of its channel, as a trouble of ours, on record.

In the audit log are the ends of messages, one line each: given up, or the first of an incident that a channel took.
Attempts are not, so that a channel that is down for days does not fill the log.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.backoff import Backoff
from calslo_dagster.alerting.breaker import Terms
from calslo_dagster.alerting.model import Action, DeliveryStatus, Event, Kind, Severity, Subject
from calslo_dagster.channels.base import Failure, Receipt, Rejected, Retryable
from calslo_dagster.pipeline.claim_message import SOURCE
from calslo_dagster.store import alert_events, alerts, channel_states, deliveries, troubles
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster.store.delivery_claims import finalize_dead, finalize_retry, finalize_sent
from calslo_dagster.store.troubles import Trouble

Outcome = Receipt | Retryable | Rejected
# Where the other side has not failed but refused, resting would only delay what it would take.
_HEALTHY: Final = frozenset({Failure.RATE_LIMITED, Failure.CLIENT, Failure.TEMPLATE})
# Without these somebody is not woken, or goes on working on what is over.
_MISSED: Final = frozenset({Action.TRIGGER, Action.RESOLVE})
_TOO_LATE: Final = "it could not be sent in time"


@dataclass(frozen=True, slots=True)
class Attempted:
    """An attempt that has ended: the message, and from when to when it took."""

    held: Delivery
    started: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class Scribe:
    """Writes down what became of messages; `draw` in [0, 1] spreads the next attempts."""

    environment: str
    backoff: Backoff
    breaker: Terms
    draw: float = 1.0

    def note(self, session: Session, one: Attempted, outcome: Outcome) -> bool:
        """Write down what came of the attempt; False if the message was no longer ours."""
        match outcome:
            case Receipt():
                is_ours, events = self._arrived(session, one, outcome)
            case Retryable():
                is_ours, events = self._failed(session, one, outcome), []
            case Rejected():
                is_ours, events = self._rejected(session, one, outcome)
        # Last, since it holds the end of the chain until the transaction ends.
        alert_events.append(session, events)
        return is_ours

    def _arrived(self, session: Session, one: Attempted, receipt: Receipt) -> tuple[bool, list[Event]]:
        held, now, is_first = one.held, one.ended, not _was_told(session, one.held)
        is_ours = finalize_sent(session, held, now=now, ref=receipt.ref, detail=receipt.detail, started_at=one.started)
        channel_states.succeeded(session, held.channel, now=now)
        self._end_trouble(session, held.channel)
        return is_ours, [*_on_record(held, "delivered", now)] if is_ours and is_first else []

    def _failed(self, session: Session, one: Attempted, error: Retryable) -> bool:
        held, now = one.held, one.ended
        wait = self.backoff.next_try(now, failures=held.attempts, draw=self.draw, retry_after=error.retry_after)
        is_ours = finalize_retry(
            session,
            held,
            now=now,
            not_before=wait,
            failure=str(error.failure),
            error=str(error),
            maybe=error.may_have_arrived,
            retry_after=error.retry_after,
            started_at=one.started,
            ref=error.ref,
        )
        self._health(session, held, error, now)
        return is_ours

    def _rejected(self, session: Session, one: Attempted, error: Rejected) -> tuple[bool, list[Event]]:
        held, now = one.held, one.ended
        failure, maybe, why = str(error.failure), error.failure is Failure.AMBIGUOUS, str(error)
        is_ours = finalize_dead(session, held, now=now, failure=failure, error=why, maybe=maybe, started_at=one.started)
        # A secret that is refused keeps the next page from arriving too, whatever this message was.
        if is_ours and (_is_missed(session, held) or error.failure is Failure.AUTH):
            _undeliverable(session, held, why, now)
        self._health(session, held, error, now)
        return is_ours, [*_on_record(held, "given up", now, why)] if is_ours else []

    def _health(self, session: Session, held: Delivery, error: Retryable | Rejected, now: datetime) -> None:
        if isinstance(error, Retryable) and error.retry_after and error.failure is Failure.RATE_LIMITED:
            channel_states.pause(session, held.channel, until=now + error.retry_after)
        token, failure = held.lease_token or "", str(error.failure)
        if error.failure in _HEALTHY:
            channel_states.abandon(session, held.channel, token=token, now=now)
        else:
            channel_states.failed(session, held.channel, token=token, now=now, terms=self.breaker, failure=failure)

    def _end_trouble(self, session: Session, channel: str) -> None:
        """End the alert about a channel that works; if a message was given up, people are told of it before."""
        component = troubles.delivery_to(channel)
        trouble = next((one for one in troubles.open_ones(session) if one.component == component), None)
        if trouble is not None and not (_is_dead(session, trouble) and not self._is_told(session, trouble)):
            troubles.clear(session, [component])

    def _is_told(self, session: Session, trouble: Trouble) -> bool:
        key = Subject(Kind.PIPELINE, trouble.component, environment=self.environment).fingerprint
        alert = alerts.last_by_fingerprint(session, [key]).get(key)
        return alert is not None and alert.source_id == trouble.source_id


def give_up(session: Session, *, now: datetime) -> int:
    """End what it is too late to send, and put it on record; return how many messages that were."""
    lost = deliveries.expire(session, now=now)
    for one in lost:
        if _is_missed(session, one):
            _undeliverable(session, one, _TOO_LATE, now)
    alert_events.append(session, [event for one in lost for event in _on_record(one, "given up", now, _TOO_LATE)])
    return len(lost)


def _is_missed(session: Session, lost: Delivery) -> bool:
    """Whether somebody should have been woken by it, or told of the end; an update pages where the page did not."""
    return lost.action in _MISSED or (lost.action is Action.UPDATE and not _was_told(session, lost))


def _was_told(session: Session, one: Delivery) -> bool:
    told = deliveries.told(session, [one.incident_id])[one.incident_id]
    return any(known.channel == one.channel and known.sent for known in told)


def _on_record(one: Delivery, kind: str, now: datetime, why: str = "") -> Iterator[Event]:
    """Yield the line for the audit log; whoever orders a test says there how it fared."""
    if one.action is not Action.TEST:
        reason = f"{one.action} to {one.channel}" + (f": {why}" if why else "")
        yield Event(one.incident_id, kind, now, reason, source=SOURCE, payload={"delivery": one.id})


def _undeliverable(session: Session, lost: Delivery, why: str, now: datetime) -> None:
    """Raise an alert of our own about a message that will never arrive; a test says so to whoever made it."""
    if lost.action is not Action.TEST:
        title = f"{lost.action} about {lost.facts.slo} of incident {lost.incident_id}"
        reason = f"{lost.channel} did not take the {title}: {why}"
        component = troubles.delivery_to(lost.channel)
        troubles.put(session, Trouble(component, Severity.CRITICAL, now, reason, source_id=str(lost.id)))


def _is_dead(session: Session, trouble: Trouble) -> bool:
    message = deliveries.by_id(session, int(trouble.source_id)) if trouble.source_id.isdecimal() else None
    return message is not None and message.status is DeliveryStatus.DEAD
