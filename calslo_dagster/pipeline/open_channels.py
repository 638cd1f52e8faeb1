"""Open the channels that the settings name, secrets looked up; one that cannot be opened says why when it is used."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Final

from calslo_dagster.alerting.rate import Rate
from calslo_dagster.channels.alertmanager import AlertmanagerChannel
from calslo_dagster.channels.apprise import AppriseChannel
from calslo_dagster.channels.base import Channel, Failure, Letter, Receipt, Rejected
from calslo_dagster.channels.http import quiet
from calslo_dagster.channels.log import LogChannel
from calslo_dagster.channels.pagerduty import PagerDutyChannel, Region
from calslo_dagster.channels.redact import conceal
from calslo_dagster.channels.secret import Secret
from calslo_dagster.channels.slack import SlackApiChannel, SlackWebhookChannel
from calslo_dagster.channels.webhook import WebhookChannel
from calslo_dagster.errors import SettingsError
from calslo_dagster.settings import Settings
from calslo_dagster.settings import channels as wanted
from calslo_dagster.settings.types import Address

LOG: Final = "log"
# An Alertmanager forgets what is not sent again; the end is sent by us, and this only outlives every reminder.
KEPT: Final = timedelta(days=30)
# What the services take: Slack about a message a second and conversation, PagerDuty 120 events a minute and key.
USUAL: Final = {"slack": Rate(timedelta(seconds=1), burst=5), "pagerduty": Rate(timedelta(seconds=0.5), burst=20)}


@dataclass(frozen=True, slots=True)
class ClosedChannel:
    """A channel that could not be opened: a message to it is given up at once, so that the fall-back tells of it."""

    name: str
    reason: str

    async def send(self, _letter: Letter) -> Receipt:
        """Refuse the letter with the reason."""
        raise Rejected(self.reason, Failure.AUTH)


def open_channels(settings: Settings) -> dict[str, Channel]:
    """Return every channel by name, the log among them."""
    quiet()
    found: dict[str, Channel] = {LOG: LogChannel(settings.alert_log)}
    for name, section in settings.channels.named.items():
        try:
            found[name] = _OPENERS[type(section)](_Opening(settings, name), section)
        except (SettingsError, ValueError) as error:
            found[name] = ClosedChannel(name, str(error))
    return found


def rates(settings: Settings) -> dict[str, Rate]:
    """Return how fast each channel may be used."""
    return {name: _rate(section) for name, section in settings.channels.named.items()}


def _rate(section: wanted.NamedChannel) -> Rate:
    if section.per_minute is None:
        return USUAL.get(section.kind, Rate())
    return Rate(timedelta(minutes=1) / section.per_minute, burst=max(1, int(section.per_minute // 6)))


@dataclass(frozen=True, slots=True)
class _Opening:
    """The channel that is being opened, and the way to its secrets."""

    settings: Settings
    name: str

    def secret(self, key: str, address: Address) -> Secret:
        value = self.settings.resolve(address, ("channels", self.name, *key.split(".")))
        found = Secret(value)
        conceal(found)
        return found

    def secrets(self, key: str, addresses: tuple[Address, ...]) -> tuple[Secret, ...]:
        return tuple(self.secret(f"{key}.{n}", address) for n, address in enumerate(addresses))


def _slack(at: _Opening, section: wanted.SlackChannel) -> Channel:
    interactive = section.signing_secret is not None or section.app_token is not None
    if section.webhook_url is not None:
        return SlackWebhookChannel(at.name, at.secret("webhook_url", section.webhook_url), interactive=interactive)
    token = at.secret("token", section.token or Address(""))
    return SlackApiChannel(at.name, token, section.channel or "", interactive=interactive, base_url=section.api_url)


def _pagerduty(at: _Opening, section: wanted.PagerDutyChannel) -> Channel:
    key = at.secret("routing_key", section.routing_key)
    return PagerDutyChannel(at.name, key, region=Region(section.region), base_url=section.events_url or "")


def _email(at: _Opening, section: wanted.EmailChannel) -> Channel:
    from calslo_dagster.channels.email import EmailChannel, Security  # noqa: PLC0415 - brings a mail library with it

    return EmailChannel(
        name=at.name,
        host=section.host,
        port=section.port or 0,
        security=Security(section.tls),
        sender=section.sender,
        recipients=section.to,
        username=section.username or "",
        password=at.secret("password", section.password) if section.password else None,
        ca_file=Path(at.settings.path(section.ca_file)) if section.ca_file else None,
    )


def _webhook(at: _Opening, section: wanted.WebhookChannel) -> Channel:
    return WebhookChannel(at.name, at.secret("url", section.url), at.secrets("secrets", section.secrets))


def _alertmanager(at: _Opening, section: wanted.AlertmanagerChannel) -> Channel:
    return AlertmanagerChannel(at.name, at.secret("url", section.url), keep=KEPT)


def _apprise(at: _Opening, section: wanted.AppriseChannel) -> Channel:
    return AppriseChannel(at.name, at.secret("url", section.url))


_OPENERS: Final[Mapping[type, Callable[..., Channel]]] = {
    wanted.SlackChannel: _slack,
    wanted.PagerDutyChannel: _pagerduty,
    wanted.EmailChannel: _email,
    wanted.WebhookChannel: _webhook,
    wanted.AlertmanagerChannel: _alertmanager,
    wanted.AppriseChannel: _apprise,
}
