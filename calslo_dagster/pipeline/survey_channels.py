"""See how the channels are: which of them take messages, and what waits for them."""

from dataclasses import dataclass, replace
from datetime import datetime

from calslo_dagster.alerting.breaker import Phase
from calslo_dagster.pipeline.deliver_outbox import CANARY
from calslo_dagster.pipeline.open_channels import LOG, ClosedChannel, open_channels
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import channel_states, deliveries
from calslo_dagster.store.channel_states import ChannelState
from calslo_dagster.store.deliveries import Backlog


@dataclass(frozen=True, slots=True)
class ChannelReport:
    """A channel as it is now; `kind` is empty for one that the settings name no more, whose messages are given up.

    rests_until: when one message may try again for all; paused_until: until when it asked us to wait; note: why it
    cannot be opened.
    """

    name: str
    kind: str
    breaker: Phase = Phase.CLOSED
    rests_until: datetime | None = None
    paused_until: datetime | None = None
    ok_at: datetime | None = None
    failed_at: datetime | None = None
    failure: str | None = None
    backlog: int = 0
    oldest_due_at: datetime | None = None
    note: str = ""


def survey_channels(project: Project, *, now: datetime) -> tuple[ChannelReport, ...]:
    """Return every channel of the settings, and those that they name no more but something still waits for."""
    kinds = {LOG: LOG} | {name: section.kind for name, section in project.settings.channels.named.items()}
    closed = {n: one.reason for n, one in open_channels(project.settings).items() if isinstance(one, ClosedChannel)}
    with project.store.read() as session:
        states = {state.name: state for state in channel_states.every(session)}
        waiting = {one.channel: one for one in deliveries.backlog(session) if one.channel != CANARY}
    return tuple(
        _report(
            ChannelReport(name, kinds.get(name, ""), note=closed.get(name, "")),
            states.get(name),
            waiting.get(name),
            now,
        )
        for name in (*kinds, *sorted(waiting.keys() - kinds))
    )


def _report(bare: ChannelReport, state: ChannelState | None, waits: Backlog | None, now: datetime) -> ChannelReport:
    found = bare
    if state is not None:
        breaker, pause = state.breaker, state.paused_until
        found = replace(
            found,
            breaker=breaker.phase,
            rests_until=breaker.open_until if breaker.phase is Phase.OPEN else None,
            paused_until=pause if pause and pause > now else None,
            ok_at=state.ok_at,
            failed_at=state.failed_at,
            failure=state.failure,
        )
    if waits is not None:
        found = replace(found, backlog=waits.waiting + waits.in_flight, oldest_due_at=waits.oldest_due_at)
    return found
