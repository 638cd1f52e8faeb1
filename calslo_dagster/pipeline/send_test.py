"""Try a channel as a page would go: by the outbox, the claims, the deadline and the words that pages have."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from calslo_dagster.alerting.facts import Facts, Member
from calslo_dagster.alerting.model import Action, DeliveryStatus, Event, Finding, Kind, Order, Severity
from calslo_dagster.channels.base import Channel
from calslo_dagster.errors import SettingsError
from calslo_dagster.pipeline.deliver_outbox import DEADLINE, Clock, deliver_outbox, utc_now
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.respond_to_alerts import require_fit
from calslo_dagster.slo.parameters import unknown_name
from calslo_dagster.store import alert_events, channel_states, deliveries
from calslo_dagster.store.channel_states import ChannelState
from calslo_dagster.store.deliveries import Delivery, NewDelivery
from calslo_dagster.store.session import Lock

# Somebody waits for the answer, so it goes before every page; it is one message.
PRIORITY: Final = len(Severity)
# Somebody else may be sending just now, and our own attempt takes so long at most.
PATIENCE: Final = 2 * DEADLINE + timedelta(seconds=4)
# No longer than it takes to claim the test: what else waits for the channel is not this command's business.
_ROUND: Final = timedelta(seconds=0.5)
_PAUSE_SECONDS: Final = 0.2
_EXAMPLE: Final = Finding(
    value=0.083, low=0.071, high=0.096, events=41_280, limit=0.05, excess=0.66, reason="An example, not a measurement."
)


@dataclass(frozen=True, slots=True)
class Trial:
    """How a channel took a test.

    failure: the word of what went wrong, empty if it arrived or was never tried; said: what the other side answered,
    or why it did not go; maybe: it may have arrived all the same.
    """

    channel: str
    incident_id: str
    has_arrived: bool
    took: timedelta
    failure: str = ""
    said: str = ""
    maybe: bool = False


def send_test(
    project: Project,
    channel: str,
    *,
    by: str,
    clock: Clock = utc_now,
    patience: timedelta = PATIENCE,
    channels: Mapping[str, Channel] | None = None,
) -> Trial:
    """Send a test to the channel and return how it fared, after one attempt.

    A channel that rests after failures is tried at once, so that a person who has mended it need not wait; one that
    asked for a long pause is left alone. A test that did not arrive is taken back.
    """
    require_fit(author=by)
    names = project.settings.channels.names
    if channel not in names:
        raise SettingsError(unknown_name("channel", channel, dict.fromkeys(names)))
    began, incident_id = clock(), f"test:{uuid4().hex}"
    _order(project, incident_id, channel, by=by, now=began)
    until = time.monotonic() + patience.total_seconds()
    while True:
        deliver_outbox(project, clock=clock, budget=_ROUND, channels=channels, only=channel)
        known, state = _seen(project, incident_id, channel)
        left = timedelta(seconds=until - time.monotonic())
        if _is_settled(known) or left <= timedelta(0) or _rests(state, clock() + left):
            break
        time.sleep(_PAUSE_SECONDS)
    return _settled(project, known, state, by=by, began=began, now=clock())


def _order(project: Project, incident_id: str, channel: str, *, by: str, now: datetime) -> None:
    reason = f"a test by {by}"
    order = Order(incident_id, channel, Action.TEST, "test", reason, now)
    new = NewDelivery(order, _facts(project, order), f"calslo-{incident_id.replace(':', '-')}", PRIORITY)
    with project.store.write(Lock.ALERTS) as session:
        deliveries.order(session, [new], now=now)
        channel_states.wake(session, channel, now=now)
        alert_events.append(session, [Event(incident_id, "test ordered", now, f"of {channel}", by, "cli")])


def _facts(project: Project, order: Order) -> Facts:
    """Return facts as those of a page, so that people see what one looks like."""
    slo = next(iter(project.registry))
    now = order.not_before
    return Facts(
        incident_id=order.incident_id,
        episode=1,
        kind=Kind.BREACH,
        slo=slo.name,
        model="example",
        environment=project.settings.alerting.environment,
        severity=Severity.INFO,
        since=now,
        opened_at=now,
        at=now,
        title=slo.title,
        unit="ratio",
        slices=1,
        worst=(Member("example=yes", now, _EXAMPLE, Severity.INFO),),
        first_action="nothing; this only shows that the channel works.",
        why=order.reason,
    )


def _seen(project: Project, incident_id: str, channel: str) -> tuple[Delivery, ChannelState | None]:
    with project.store.read() as session:
        (known,) = deliveries.of_incident(session, incident_id)
        return known, channel_states.by_name(session, channel)


def _is_settled(known: Delivery) -> bool:
    """Whether it was tried, or will not be."""
    is_open = known.status in (DeliveryStatus.PENDING, DeliveryStatus.SENDING)
    return not is_open or (known.status is DeliveryStatus.PENDING and known.failure is not None)


def _rests(state: ChannelState | None, until: datetime) -> bool:
    """Whether the other side has asked for a pause that is longer than anybody waits."""
    return state is not None and state.paused_until is not None and state.paused_until > until


def _settled(
    project: Project, known: Delivery, state: ChannelState | None, *, by: str, began: datetime, now: datetime
) -> Trial:
    has_arrived = known.status is DeliveryStatus.SENT
    said = known.outcome or ("" if has_arrived else _why_not(state, now))
    trial = Trial(
        channel=known.channel,
        incident_id=known.incident_id,
        has_arrived=has_arrived,
        took=now - began,
        failure="" if has_arrived else known.failure or "",
        said=said,
        maybe=known.ambiguous and not has_arrived,
    )
    outcome = "arrived" if has_arrived else f"did not arrive: {trial.failure} {said}"
    event = Event(known.incident_id, "tested", now, f"{known.channel}: {outcome}", by, "cli")
    with project.store.write(Lock.ALERTS) as session:
        deliveries.supersede_waiting(session, known.incident_id, reason="the test is over", now=now)
        alert_events.append(session, [event])
    return trial


def _why_not(state: ChannelState | None, now: datetime) -> str:
    if state is not None and state.paused_until is not None and state.paused_until > now:
        return f"the other side asked us to wait until {state.paused_until:%Y-%m-%d %H:%M:%S} UTC; try again then"
    return "somebody else is using the channel up to its rate; try again"
