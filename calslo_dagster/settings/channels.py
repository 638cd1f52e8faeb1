"""The `channels` section: the places that alerts go to, each with a name of your own."""

from enum import StrEnum
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Discriminator, Field, Tag

from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import Address, Positive, Reference, Text, Url, WebAddress

LOG: Final = "log"


class Region(StrEnum):
    """Where a PagerDuty account lives."""

    US = "us"
    EU = "eu"


class TlsMode(StrEnum):
    """How a mail server is spoken to."""

    STARTTLS = "starttls"
    IMPLICIT = "implicit"
    NONE = "none"


class LogSection(Section):
    """Alerts as lines of a log file."""

    path: Text | None = None
    """The file; `alerts.jsonl` below `home` unless told."""


class Limited(Section):
    """What every channel to the outside has."""

    per_minute: Positive | None = None
    """So many messages a minute at most; what its service allows unless told."""


class SlackChannel(Limited):
    """Slack, by an incoming webhook or, with edits and threads, by the token of an app."""

    kind: Literal["slack"]
    """Slack."""
    webhook_url: Reference | None = None
    """The address of an incoming webhook; it is a secret as a whole."""
    token: Reference | None = None
    """The bot token of an app with `chat:write`; then messages are edited and threaded."""
    channel: Text | None = None
    """The id of the channel, such as C0123456789; with `token` only."""
    signing_secret: Reference | None = None
    """The signing secret of the app; with it messages carry buttons, which `calslo serve` answers."""
    app_token: Reference | None = None
    """The app-level token (`xapp-`); with it buttons reach `calslo serve` without an address of its own."""
    api_url: WebAddress = "https://slack.com/api"
    """The Web API; another one for a proxy."""


class PagerDutyChannel(Limited):
    """PagerDuty, by Events API v2."""

    kind: Literal["pagerduty"]
    """PagerDuty."""
    routing_key: Reference
    """The integration key of the service, 32 characters."""
    region: Region = Region.US
    """Where the account lives: `us` or `eu`."""
    events_url: WebAddress | None = None
    """The Events API in place of the region's."""
    webhook_secrets: tuple[Reference, ...] = ()
    """Secrets of v3 webhook subscriptions; with one, acknowledging in PagerDuty acknowledges here."""


class EmailChannel(Limited):
    """Mail, by SMTP."""

    kind: Literal["email"]
    """Mail."""
    host: Text
    """The mail server."""
    port: Annotated[int, Field(ge=1, le=65_535)] | None = None
    """587 unless told, 465 for implicit TLS, 25 without."""
    tls: TlsMode = TlsMode.STARTTLS
    """`starttls`, `implicit`, or `none`, which is for servers on this machine."""
    ca_file: Text | None = None
    """A file with the certificates of a private authority."""
    username: Text | None = None
    """The user to log in as."""
    password: Reference | None = None
    """The password of the user."""
    sender: Text
    """The address that mails come from."""
    to: Annotated[tuple[Text, ...], Field(min_length=1)]
    """The addresses that mails go to."""


class WebhookChannel(Limited):
    """Your own receiver: JSON with a signature."""

    kind: Literal["webhook"]
    """A webhook."""
    url: Url
    """Where to post; an address with a secret in it is `env:NAME` or `file:PATH`."""
    secrets: tuple[Reference, ...] = ()
    """Keys to sign with, the newest first; two during a rotation."""


class AlertmanagerChannel(Limited):
    """A Prometheus Alertmanager."""

    kind: Literal["alertmanager"]
    """Alertmanager, API v2."""
    url: Url
    """Its address, such as http://alertmanager:9093."""


class AppriseChannel(Limited):
    """Any of the services that Apprise knows; needs the extra `apprise`."""

    kind: Literal["apprise"]
    """Apprise."""
    url: Reference
    """The Apprise URL; it is a secret as a whole."""


def _kind(data: Any) -> str:
    given = data.get("kind", "?") if isinstance(data, dict) else getattr(data, "kind", "?")
    return given if isinstance(given, str) else "?"


NamedChannel = Annotated[
    Annotated[SlackChannel, Tag("slack")]
    | Annotated[PagerDutyChannel, Tag("pagerduty")]
    | Annotated[EmailChannel, Tag("email")]
    | Annotated[WebhookChannel, Tag("webhook")]
    | Annotated[AlertmanagerChannel, Tag("alertmanager")]
    | Annotated[AppriseChannel, Tag("apprise")],
    Discriminator(_kind),
]


class ChannelSection(Section):
    """Where alerts go: `log` is always there, every other key names a channel."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, NamedChannel] = Field(init=False)

    log: LogSection = Field(default_factory=LogSection)
    """A log file; always on."""

    @property
    def named(self) -> dict[str, NamedChannel]:
        """The channels to the outside by name."""
        return self.__pydantic_extra__ or {}

    @property
    def names(self) -> tuple[str, ...]:
        """Every name that a policy may use."""
        return (LOG, *self.named)

    @property
    def has_app_token(self) -> bool:
        """Whether a Slack channel has its buttons answered over a socket."""
        return any(isinstance(one, SlackChannel) and one.app_token is not None for one in self.named.values())


def secrets_of(channel: NamedChannel) -> dict[str, Address]:
    """Return the references of a channel by key, with the place in a list."""
    found = dict[str, Address]()
    for key in type(channel).model_fields:
        value = getattr(channel, key)
        entries = value if isinstance(value, tuple) else (value,)
        for number, entry in enumerate(entries):
            if isinstance(entry, Address):
                found[f"{key}.{number}" if isinstance(value, tuple) else key] = entry
    return found
