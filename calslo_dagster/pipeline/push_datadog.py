"""Push how every SLO stands to Datadog."""

from collections.abc import Callable
from datetime import datetime
from time import sleep as wait

from calslo_dagster.errors import SettingsError
from calslo_dagster.exports.datadog import gauges, send_series, send_statsd, statsd_lines
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_board import read_board


def push_datadog(
    project: Project, *, now: datetime, since: datetime | None = None, sleep: Callable[[float], None] = wait
) -> str:
    """Send the board to the agent or to the API of the settings; return what was sent, as a sentence.

    since: incidents that began later are sent to the agent as events. SettingsError if the settings name neither,
    DatadogError if it is not taken.
    """
    settings = project.settings
    told, environment, most = settings.datadog, settings.alerting.environment, settings.prometheus.most_series
    if told.agent:
        host, _, port = told.agent.rpartition(":")
        board = read_board(project, now=now)
        lines = statsd_lines(board, environment=environment, since=since, most_series=most)
        return f"sent {send_statsd(lines, host, int(port))} datagrams to the agent at {told.agent}"
    if told.url is None or told.api_key is None:
        raise SettingsError("the settings do not say where Datadog is; write `datadog: {agent: 127.0.0.1:8125}`")
    found = gauges(read_board(project, now=now), environment=environment, most_series=most)
    key = settings.resolve(told.api_key, ("datadog", "api_key"))
    requests = send_series(found, now, url=told.url, key=key, sleep=sleep)
    return f"sent {len(found):,} series to {told.url} in {requests} requests"
