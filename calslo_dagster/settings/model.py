"""All settings, typed, with what the lower floors need of them as plain values."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, Field, PrivateAttr

from calslo_dagster.errors import SettingsError
from calslo_dagster.settings.alerting import AlertingSection
from calslo_dagster.settings.channels import ChannelSection, secrets_of
from calslo_dagster.settings.document import Document, Loc, Mistake
from calslo_dagster.settings.monitoring import DatadogSection, PrometheusSection
from calslo_dagster.settings.parts import (
    AvailabilitySection,
    ClampSection,
    DemoSection,
    EngineSection,
    LabelPolicy,
    RetentionSection,
    SliceSection,
)
from calslo_dagster.settings.section import Section
from calslo_dagster.settings.slos import BurnSettings, EvidenceSettings, ExclusionSettings, SloSection
from calslo_dagster.settings.sources import AnySource, DemoSource, IngestSource, Source, TableFeed, TableSource
from calslo_dagster.settings.types import (
    PANE,
    Address,
    Duration,
    Positive,
    Text,
    Url,
    Wait,
    WebAddress,
    WeeklyCron,
    duration_text,
)
from calslo_dagster.settings.web import WebSection

if TYPE_CHECKING:
    from calslo_dagster.alerting.rules import Rules
    from calslo_dagster.engine.connect import EngineSettings
    from calslo_dagster.engine.spec import AggregateSpec
    from calslo_dagster.slo.budget import Tier
    from calslo_dagster.slo.exclusions import Exclusion
    from calslo_dagster.sources.base import LabelSpec, SourceSpec
    from calslo_dagster.sources.demo.spec import DemoSpec

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Origin:
    """Where settings came from: the file, the folder that relative paths start at, and the environment."""

    document: Document = field(default_factory=lambda: Document("calslo.yaml"))
    file: Path | None = None
    directory: Path = field(default_factory=Path)
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


def _divides_a_day(step: timedelta) -> timedelta:
    if step % PANE or _DAY % step:
        raise ValueError(
            f"{duration_text(step)} does not divide a day into quarters of an hour; "
            "write one of 15m, 30m, 1h, 2h, 3h, 4h, 6h, 8h, 12h, 24h"
        )
    return step


def _supported(address: Address) -> Address:
    scheme = address.text.partition("://")[0].partition("+")[0]
    if "://" in address.text and scheme not in ("sqlite", "postgresql"):
        raise ValueError(f"{scheme} is no state store; write sqlite:///path or postgresql://host/name")
    return address


def _usual_maturity(log: AnySource) -> timedelta:
    """Return how long the log's labels usually take; the demo's never take longer than half a day."""
    if isinstance(log, DemoSource):
        return _DAY / 2
    is_unlabelled = not isinstance(log, IngestSource) and log.labels is None
    return timedelta(0) if is_unlabelled else _DAY


class Settings(Section):
    """Everything that calslo.yaml may say, with its defaults."""

    stated_home: Text = Field(default=".calslo", alias="home")
    """The folder of everything calslo writes; a relative one starts at the folder of this file."""
    stated_store_url: Annotated[Url, AfterValidator(_supported)] = Field(
        default=Address("sqlite:///{home}/calslo.db"), alias="store_url"
    )
    """The state store, SQLite or PostgreSQL; a URL with a password is `env:NAME` or `file:PATH`."""
    history_start: date = date(2025, 1, 1)
    """The first day that can be evaluated."""
    evaluation_step: Annotated[Duration, AfterValidator(_divides_a_day)] = PANE
    """The distance of two evaluations in history; the open window is evaluated every minute all the same."""
    lateness: Wait = timedelta(minutes=10)
    """How long after its time an event may arrive before its window is taken as complete."""
    label_horizon: Duration = timedelta(days=30)
    """How long after its time an event may still get its label."""
    stated_label_maturity: Wait | None = Field(default=None, alias="label_maturity")
    """After how long nearly all labels are there, whatever they say. Evidence mode looks at nothing younger, because
    labels that come early may be all of one kind. 24h with a label feed and nothing without one, unless told."""
    label_policy: LabelPolicy = LabelPolicy.FIRST
    """Which label counts when several arrive for one prediction."""
    weekly_cron: WeeklyCron = "0 6 * * 1"
    """When the week that ended is compared with the one before, in UTC; late enough for its labels to be there."""
    engine: EngineSection = Field(default_factory=EngineSection)
    """How much of the machine the aggregation may use."""
    sources: tuple[Source, ...] = ()
    """Prediction logs; the demo source unless told."""
    slices: SliceSection = Field(default_factory=SliceSection)
    """The segments of traffic that are measured apart."""
    clamp: ClampSection = Field(default_factory=ClampSection)
    """The bounds that the calibrator keeps its output within."""
    latency_limit_us: Positive = 1_000
    """Calibrations that take so many microseconds or more are counted as slow."""
    manifests: tuple[Text, ...] = ()
    """Files that say what was fitted; relative ones start at the folder of this file."""
    slos: SloSection = Field(default_factory=SloSection)
    """Which promises are kept, and their limits."""
    evidence: EvidenceSettings = Field(default_factory=EvidenceSettings)
    """How many alarms may be false in evidence mode."""
    burn: BurnSettings = Field(default_factory=BurnSettings)
    """When the error budget burns too fast."""
    exclusions: tuple[ExclusionSettings, ...] = ()
    """Agreed maintenance that no verdict may rest on."""
    retention: RetentionSection = Field(default_factory=RetentionSection)
    """How long each kind of record is kept."""
    availability: AvailabilitySection = Field(default_factory=AvailabilitySection)
    """The spans that availability is reported for."""
    demo: DemoSection = Field(default_factory=DemoSection)
    """The simulated prediction log."""
    dashboard_url: WebAddress | None = None
    """Where people reach the dashboard; links in alerts begin with it."""
    channels: ChannelSection = Field(default_factory=ChannelSection)
    """Where alerts go: `log` is always there, every other key names a channel."""
    alerting: AlertingSection = Field(default_factory=AlertingSection)
    """Who is told, when, how often, and what keeps quiet."""
    web: WebSection = Field(default_factory=WebSection)
    """The pages and the REST API."""
    prometheus: PrometheusSection = Field(default_factory=PrometheusSection)
    """What Prometheus is told."""
    datadog: DatadogSection = Field(default_factory=DatadogSection)
    """Where Datadog is told."""

    _origin: Origin = PrivateAttr(default_factory=Origin)

    @property
    def file(self) -> Path | None:
        """The file that was read; None if there is none."""
        return self._origin.file

    @property
    def logs(self) -> tuple[AnySource, ...]:
        """The sources that are read: the ones of the file, else the demo."""
        return self.sources or (DemoSource(kind="demo"),)

    @property
    def label_maturity(self) -> timedelta:
        """After how long a pane's labels are complete enough to be looked at in evidence mode, in whole panes."""
        stated = self.stated_label_maturity
        if stated is None:
            stated = max((_usual_maturity(log) for log in self.logs), default=timedelta(0))
        return -(-stated // PANE) * PANE

    @property
    def demo_folder(self) -> Path:
        """The folder of the simulated log, its labels and its manifests."""
        return self.home / "demo"

    @property
    def ingest_folders(self) -> dict[str, Path]:
        """The folder of each source whose rows come over the REST API, by the name of the source."""
        return {log.name: self.home / "ingest" / log.name for log in self.logs if isinstance(log, IngestSource)}

    @property
    def manifest_files(self) -> tuple[Path, ...]:
        """The files that say what was fitted; those of the demo come after the file's own."""
        demo = (self.demo_folder / "manifests.json",) if any(s.kind == "demo" for s in self.logs) else ()
        return (*(self.path(text) for text in self.manifests), *demo)

    @property
    def alert_log(self) -> Path:
        """The file that the log channel writes to."""
        return self.path(self.channels.log.path) if self.channels.log.path else self.home / "alerts.jsonl"

    @property
    def home(self) -> Path:
        """The folder of everything calslo writes, absolute."""
        return self.path(self.stated_home)

    @property
    def store_url(self) -> str:
        """The state store's URL; a secret in it is looked up now, so never print it."""
        return self.resolve(self.stated_store_url, ("store_url",)).replace("{home}", self.home.as_posix())

    def engine_settings(self) -> "EngineSettings":
        """Return what the engine may use of the machine."""
        from calslo_dagster.settings import specs  # noqa: PLC0415 - brings the engine with it

        return specs.engine_settings(self)

    def aggregate_spec(self, slice_columns: tuple[str, ...] | None = None) -> "AggregateSpec":
        """Return how rows become facts; other slice columns than the file's may be given."""
        from calslo_dagster.settings import specs  # noqa: PLC0415 - brings the engine with it

        return specs.aggregate_spec(self, slice_columns)

    def source_specs(self, now: datetime | None = None) -> "tuple[SourceSpec, ...]":
        """Return the prediction logs, secrets looked up; times a day after `now`, or after the check, are bad."""
        from calslo_dagster.settings import specs  # noqa: PLC0415 - brings the engine with it

        return specs.source_specs(self, now)

    def label_specs(self, now: datetime | None = None) -> "tuple[LabelSpec, ...]":
        """Return the label feeds, each with the name of the source that it labels; `now` as for the logs."""
        from calslo_dagster.settings import specs  # noqa: PLC0415 - brings the engine with it

        return specs.label_specs(self, now)

    def demo_spec(self, now: datetime) -> "DemoSpec":
        """Return the size of the demo; without an end in the file it ends on the Monday before `now`."""
        from calslo_dagster.settings import specs  # noqa: PLC0415 - brings the engine with it

        return specs.demo_spec(self, now)

    def agreed_exclusions(self) -> "tuple[Exclusion, ...]":
        """Return the agreed maintenance, one entry per pattern of SLO names."""
        from calslo_dagster.settings import specs  # noqa: PLC0415 - brings the engine with it

        return specs.exclusions(self)

    def burn_tiers(self) -> "tuple[Tier, ...]":
        """Return the tiers of burn rate alerts: the file's own, else the built-in ones."""
        from calslo_dagster.settings import specs  # noqa: PLC0415 - brings the engine with it

        return specs.burn_tiers(self)

    def alert_rules(self) -> "Rules":
        """Return who is told, when, how often, and what keeps quiet."""
        from calslo_dagster.settings import agreement  # noqa: PLC0415 - reading the settings need not wait for it

        return agreement.rules(self)

    def message_templates(self) -> dict[str, str]:
        """Return the own words of messages by name, such as `trigger.title` or `all.text`."""
        sections = self.alerting.templates.items()
        parts = {f"{action}.{key}": getattr(one, key) for action, one in sections for key in ("title", "text")}
        return {name: text for name, text in parts.items() if text}

    def path(self, text: str) -> Path:
        """Return a path of the file as an absolute one."""
        return (self._origin.directory / Path(text).expanduser()).absolute()

    def resolve(self, address: Address, loc: Loc) -> str:
        """Return the URL that an address stands for; if it cannot be found, say which key asks for it."""
        try:
            return address.resolve(self._origin.environ, self._origin.directory)
        except SettingsError as error:
            raise SettingsError(str(self.mistake(loc, str(error)))) from error

    def missing_secrets(self) -> tuple[str, ...]:
        """Return a message for every address whose secret is not to be found on this machine."""
        return tuple(message for loc, address in self._addresses() if (message := self._missing(loc, address)))

    def _addresses(self) -> Iterator[tuple[Loc, Address]]:
        yield ("store_url",), self.stated_store_url
        for index, source in enumerate(self.sources):
            if isinstance(source, TableSource):
                yield ("sources", index, "url"), source.url
            if not isinstance(source, DemoSource | IngestSource) and isinstance(source.labels, TableFeed):
                yield ("sources", index, "labels", "url"), source.labels.url
        for name, channel in self.channels.named.items():
            for key, address in secrets_of(channel).items():
                yield ("channels", name, *key.split(".")), address
        for place, reference in (("heartbeat", self.alerting.heartbeat.url), ("link_key", self.alerting.link_key)):
            if reference is not None:
                yield ("alerting", place), reference
        if self.web.key is not None:
            yield ("web", "key"), self.web.key
        if self.datadog.api_key is not None:
            yield ("datadog", "api_key"), self.datadog.api_key

    def _missing(self, loc: Loc, address: Address) -> str:
        try:
            self.resolve(address, loc)
        except SettingsError as error:
            return str(error)
        return ""

    def mistake(self, loc: Loc, message: str) -> Mistake:
        """Return a mistake at the key `loc`, with file and line."""
        return self._origin.document.mistake(loc, message)

    def adopt(self, origin: Origin) -> Self:
        """Take these settings as read from `origin`; for the loader."""
        self._origin = origin
        return self
