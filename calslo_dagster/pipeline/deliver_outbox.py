"""Empty the outbox into the channels, one transaction per message."""

from datetime import datetime
from pathlib import Path

from calslo_dagster.channels.base import Channel, Message, Rejected, Retryable
from calslo_dagster.channels.log import LogChannel
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import outbox


def log_path(project: Project) -> Path:
    """Return the file of the log channel."""
    return project.settings.alert_log


def deliver_outbox(project: Project, *, now: datetime) -> int:
    """Send every unsent message, oldest first; return how many went out.

    The attempt is on record before it is made, and whoever finds another's on record leaves the message to it. One
    whose attempt was cut short is sent as a repeated one, and the channel then makes sure that it is not there already.
    """
    channel: Channel = LogChannel(log_path(project))
    with project.store.read() as session:
        waiting = outbox.unsent(session)
    return sum(_deliver(project, channel, message, now) for message in waiting)


def _deliver(project: Project, channel: Channel, message: outbox.Message, now: datetime) -> bool:
    with project.store.write() as session:
        attempts = {other.id: other.attempts for other in outbox.unsent(session)}
        if attempts.get(message.id) != message.attempts:
            return False
        outbox.begin(session, message.id, channel=channel.name)
    told = Message(message.key, message.kind, message.payload["text"], message.created_at, message.attempts == 0)
    try:
        channel.send(told)
    except (Retryable, Rejected) as error:
        with project.store.write() as session:
            outbox.mark_failed(session, message.id, error=str(error))
        return False
    with project.store.write() as session:
        outbox.mark_sent(session, message.id, at=now)
    return True
