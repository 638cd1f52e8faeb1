"""Play the alerts of a history: what would have been told, at the times at which it would have been."""

from datetime import datetime, timedelta

from calslo_dagster.pipeline.advance_alerts import follow
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.open_channels import open_channels
from calslo_dagster.pipeline.project import Project

BUDGET = timedelta(minutes=1)


def replay_alerts(project: Project, *, since: datetime, now: datetime) -> int:
    """Go through the history from `since` to `now`, sending what is due at each instant; return how many were sent.

    Messages carry the times of the history. Doing it again changes nothing, unless the history has changed.
    """
    channels, sent = open_channels(project.settings), 0
    for at, ordered in follow(project, now=now, since=since):
        if ordered:
            sent += deliver_outbox(project, clock=lambda at=at: at, budget=BUDGET, channels=channels).sent  # type: ignore[misc]
    return sent
