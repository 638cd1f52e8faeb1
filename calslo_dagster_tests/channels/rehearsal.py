"""Every channel meets every failure once, with every library as talkative as it can be, and all they say is kept."""

import asyncio
import io
import logging
import traceback
from dataclasses import dataclass, field

from calslo_dagster.channels import threads
from calslo_dagster.channels.alertmanager import AlertmanagerChannel
from calslo_dagster.channels.apprise import AppriseChannel
from calslo_dagster.channels.base import Channel, Letter, Receipt, Rejected, Retryable
from calslo_dagster.channels.pagerduty import PagerDutyChannel
from calslo_dagster.channels.secret import Secret
from calslo_dagster.channels.slack import SlackApiChannel, SlackWebhookChannel
from calslo_dagster.channels.webhook import WebhookChannel
from calslo_dagster_tests.channels.delivery import sent
from calslo_dagster_tests.channels.letters import letter
from calslo_dagster_tests.peers.running import ROUTING_KEY, Peer

TOKEN = "xoxb-canary-token-9876543210"
SIGNING = "canary-signing-secret-31415"
RECEIVER = "Bearer canary-receiver-token-27182"
PASSWORD = "canaryApprisePassword16180"
# What must never be read anywhere but on the wire.
CANARIES = (
    "canaryWebhookKey0123456789", "T0CANARYTEAM1", "B0CANARYHOOK1", "canary-token-9876543210", ROUTING_KEY,
    "canaryPathOfReceiver42", SIGNING, "canary-receiver-token-27182", PASSWORD,
)  # fmt: skip
MODES = (
    "429", "429huge", "429date", "400", "401", "403", "404", "500", "502", "503", "redirect", "close", "reset",
    "garbage", "html", "huge", "hang", "drip",
)  # fmt: skip
# Nobody lives at these addresses.
NOBODY = {"refused": "http://127.0.0.1:9", "nameless": "http://no-such-host.invalid"}
Outcome = Receipt | Retryable | Rejected


@dataclass
class Rehearsal:
    """How each channel fared in each mode, and everything that could be read while they did."""

    outcomes: dict[tuple[str, str], Outcome] = field(default_factory=dict)
    seconds: dict[str, float] = field(default_factory=dict)
    said: io.StringIO = field(default_factory=io.StringIO)


def channels_at(peer: Peer) -> dict[str, Channel]:
    """Return one channel of each kind."""
    apprise = peer.webhook.replace("http://", f"json://user:{PASSWORD}@")
    hook = WebhookChannel("webhook", Secret(peer.webhook), (Secret(SIGNING),), Secret(RECEIVER))
    made: list[Channel] = [
        SlackWebhookChannel("slack_webhook", Secret(peer.slack_webhook)),
        SlackApiChannel("slack_api", Secret(TOKEN), "C0123ABCD", base_url=peer.slack_api),
        PagerDutyChannel("pagerduty", Secret(ROUTING_KEY), base_url=peer.pagerduty),
        hook,
        AlertmanagerChannel("alertmanager", Secret(f"{peer.url}/alertmanager"), authorization=Secret(RECEIVER)),
        AppriseChannel("apprise", Secret(apprise)),
    ]
    return {one.name: one for one in made}


def rehearse(peer: Peer) -> Rehearsal:
    """Send one letter through each channel in each mode, all channels of a mode at once."""
    found = Rehearsal()
    handler = logging.StreamHandler(found.said)
    handler.setFormatter(logging.Formatter("%(name)s %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        for mode in MODES:
            peer.behave(mode)
            _try_all(found, mode, peer)
        for mode, url in NOBODY.items():
            _try_all(found, mode, Peer(url, peer.journal_file))
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
    return found


def _try_all(found: Rehearsal, mode: str, peer: Peer) -> None:
    channels = channels_at(peer)
    results, seconds = threads.run(_sent_by_all(list(channels.values()), letter()))
    found.seconds[mode] = seconds
    for name, result in zip(channels, results, strict=True):
        assert isinstance(result, Receipt | Retryable | Rejected), f"{name} in mode {mode}: {result!r}"
        found.outcomes[mode, name] = result
        told = traceback.format_exception(result) if isinstance(result, Exception) else [repr(result)]
        found.said.write("\n".join([repr(channels[name]), str(result), *told, ""]))


async def _sent_by_all(channels: list[Channel], one: Letter) -> tuple[list[Receipt | BaseException], float]:
    loop = asyncio.get_running_loop()
    began = loop.time()
    results = await asyncio.gather(*(sent(channel, one) for channel in channels), return_exceptions=True)
    return results, loop.time() - began
