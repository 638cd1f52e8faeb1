"""Tell a dead man's switch outside that we are well, and only while an audit of our own store finds that we are."""

import asyncio
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.facts import Facts
from calslo_dagster.alerting.model import Action, DeliveryStatus, Kind, Order, Severity
from calslo_dagster.channels.base import Rejected, Retryable
from calslo_dagster.channels.http import post
from calslo_dagster.channels.redact import conceal
from calslo_dagster.channels.secret import Secret
from calslo_dagster.channels.threads import run
from calslo_dagster.pipeline.advance_alerts import LOOKED
from calslo_dagster.pipeline.deliver_outbox import CANARY, DEADLINE
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.watch_ourselves import EVALUATION, WEEKLY_EVALUATION, standstills
from calslo_dagster.pipeline.watch_outbox import late_messages
from calslo_dagster.store import deliveries, heartbeats, troubles
from calslo_dagster.store.deliveries import NewDelivery
from calslo_dagster.store.session import Lock

SENT: Final = "heartbeat"
# Whoever decides about alerts looks every ten seconds; a minute without a look is a standstill.
UNSEEN: Final = timedelta(minutes=1)

_STANDING: Final = {EVALUATION: "no SLO is being evaluated", WEEKLY_EVALUATION: "no week is being compared"}


def send_heartbeat(project: Project, *, now: datetime, deadline: timedelta = DEADLINE) -> str:
    """Send the sign of life if it is due and the audit passes; return in a sentence what was done, or why not.

    Whoever hears nothing calls the people on call, so being silent is the alarm.
    """
    section = project.settings.alerting.heartbeat
    if section.url is None:
        return "no heartbeat is configured"
    with project.store.write(Lock.ALERTS) as session:
        last = next((one.last_at for one in heartbeats.every(session) if one.component == SENT), None)
        if last is not None and now - last < section.every:
            return f"the last heartbeat was {int((now - last).total_seconds())} s ago"
        wrong = list(faults(session, project, now))
        _order_canary(session, now)
    if wrong:
        return f"no heartbeat: {'; '.join(wrong)}"
    return _send(project, now, deadline)


def faults(session: Session, project: Project, now: datetime) -> Iterator[str]:
    """Yield what keeps us from saying that alerting works."""
    looked = next((one.last_at for one in heartbeats.every(session) if one.component == LOOKED), None)
    if looked is None or now - looked > UNSEEN:
        yield "nobody has looked at the alerts" + ("" if looked is None else f" since {looked:%H:%M:%S} UTC")
    late = late_messages(session, now)
    if late:
        yield f"{len(late)} messages are late, first {late[0].action} to {late[0].channel}"
    # Whoever watches may stand still too, so that what it has noticed is not all there is.
    standing = {
        one.component for one in (*troubles.open_ones(session), *standstills(session, project, now, since=None))
    }
    yield from (words for component, words in _STANDING.items() if component in standing)
    sent = [one for one in deliveries.of_incident(session, CANARY) if one.status is DeliveryStatus.SENT]
    if not sent:
        yield "no message has gone through the outbox yet"


def _order_canary(session: Session, now: datetime) -> None:
    """Send a message to nobody: that it goes through the outbox shows that others would."""
    deliveries.prune_incident(session, CANARY, before=now - timedelta(hours=1))
    order = Order(CANARY, CANARY, Action.TEST, now.isoformat(), "heartbeat", now)
    facts = Facts(
        incident_id=CANARY,
        episode=1,
        kind=str(Kind.PIPELINE),
        slo=CANARY,
        model="",
        environment="",
        severity=Severity.INFO,
        since=now,
        opened_at=now,
        at=now,
    )
    deliveries.order(session, [NewDelivery(order, facts, CANARY)], now=now)


def _send(project: Project, now: datetime, deadline: timedelta) -> str:
    address = project.settings.alerting.heartbeat.url
    if address is None:
        return "no heartbeat is configured"
    url = Secret(project.settings.resolve(address, ("alerting", "heartbeat", "url")))
    conceal(url)
    try:
        run(_called(url, deadline))
    except TimeoutError:
        return f"no heartbeat: no answer within {deadline.total_seconds():g} s"
    except (Retryable, Rejected) as error:
        return f"no heartbeat: {error}"
    with project.store.write(Lock.ALERTS) as session:
        heartbeats.beat(session, SENT, now=now, every=2 * project.settings.alerting.heartbeat.every)
    return "heartbeat sent"


async def _called(url: Secret, deadline: timedelta) -> None:
    """Call the address; one that answers byte by byte must not keep the next page waiting."""
    async with asyncio.timeout(deadline.total_seconds()):
        await post(SENT, url.reveal(), b'{"status":"ok"}')
