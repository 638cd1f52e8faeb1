"""The `slos` section: which promises are kept, with which limits, and those that the file itself defines."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from calslo_dagster.settings.alerting import SeverityName
from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import (
    Count,
    Duration,
    Instant,
    Limit,
    Positive,
    SloName,
    Span,
    Target,
    Text,
    WarnLimit,
)


class OperatorName(StrEnum):
    """How a value is compared with its limit."""

    AT_MOST = "<="
    BELOW = "<"
    AT_LEAST = ">="
    ABOVE = ">"
    EQUAL = "=="
    WITHIN = "within"


class CadenceName(StrEnum):
    """How often an SLO is measured."""

    MINUTE = "minute"
    WEEKLY = "weekly"


class AggregationName(StrEnum):
    """How a window's value comes about: from all its events at once, or from the values of its panes."""

    WINDOW = "window"
    MEAN = "mean"
    MEDIAN = "median"
    P95 = "p95"
    P99 = "p99"
    MAX = "max"
    MIN = "min"
    SUM = "sum"
    COUNT = "count"


def _some_limit(override: "OverrideSettings") -> "OverrideSettings":
    if override.fail is None and override.warn is None:
        raise ValueError("changes no limit; give it fail, warn or both")
    return override


class OverrideSettings(Section):
    """Other limits for some slices or models; the first override that matches wins."""

    slices: Text = "*"
    """The slices it is for: `*`, a name such as `language=en`, or a shell pattern."""
    models: Text = "*"
    """The models it is for: `*`, a name, or a shell pattern."""
    fail: Limit | None = None
    """Past this limit a window is breached."""
    warn: Limit | None = None
    """Past this limit a window is a warning."""


Overrides = tuple[Annotated[OverrideSettings, AfterValidator(_some_limit)], ...]


class ModeName(StrEnum):
    """How verdicts come about."""

    THRESHOLD = "threshold"
    EVIDENCE = "evidence"


class EvidenceSettings(Section):
    """How many alarms may be false in evidence mode, in the mean per 30 days, over all SLOs and slices together."""

    false_breaches: Positive = 1.0
    """Breaches while the promise is kept."""
    false_warnings: Positive = 4.0
    """Warnings of a change while there is none."""


class SloSettings(Section):
    """What may be changed in any SLO; a key that is left out keeps the SLO's own value."""

    mode: ModeName | None = None
    """`threshold` judges windows by their value, `evidence` keeps the rate of false alarms; `slos.mode` unless told."""
    fail: Limit | None = None
    """Past this limit a window is breached; `[low, high]` for operator `within`."""
    warn: WarnLimit | None = None
    """Past this limit a window is a warning; stricter than `fail`. `none` for no warnings."""
    window: Span | None = None
    """How far back a measurement looks, a multiple of 15 minutes; weekly SLOs always look at one ISO week."""
    min_events: Count | None = None
    """With fewer events than this the verdict is unknown."""
    target: Target | None = None
    """The share of windows that must meet the objective."""
    open_after: Count | None = None
    """So many breached windows open a breach."""
    open_within: Count | None = None
    """Among so many windows; as many as `open_after`, which is in a row, unless told."""
    close_after: Count | None = None
    """So many met windows in a row close it."""
    slices: Text | None = None
    """The slices it is measured for: `*`, a name, or a shell pattern."""
    overrides: Overrides = ()
    """Other limits for some slices or models."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Numbers that the SLO itself documents: see `calslo slos show NAME`."""
    severity: SeverityName | None = None
    """How much a breach hurts: `info`, `warning`, `critical` or `emergency`."""
    owner: Text | None = None
    """Whom an alert is for."""
    runbook: Text | None = None
    """What to do first when it is breached, or the address of the page that says so."""


class DefinedSlo(Section):
    """An SLO that needs no code: a metric, how it is aggregated, and its limits."""

    name: SloName
    """The name of the SLO: small letters, digits and underscores."""
    mode: ModeName | None = None
    """`threshold` or `evidence`; `slos.mode` unless told."""
    metric: Text
    """What is measured; `calslo slos metrics` lists what there is."""
    operator: OperatorName
    """How the value is compared with its limits."""
    fail: Limit
    """Past this limit a window is breached; `[low, high]` for operator `within`."""
    warn: Limit | None = None
    """Past this limit a window is a warning; stricter than `fail`."""
    title: str = ""
    """The name that people read."""
    aggregation: AggregationName = AggregationName.WINDOW
    """`window` for the metric of the whole window, else how its panes are summed up."""
    pane: Span | None = None
    """The length of a pane; 15m for windows up to a day and 1h beyond, unless told."""
    pane_min_events: Count = 1
    """Panes with fewer events than this have no value."""
    window: Span | None = None
    """How far back a measurement looks: 24h unless told; weekly SLOs always look at one ISO week."""
    cadence: CadenceName = CadenceName.MINUTE
    """`minute`, or `weekly` for one measurement per ISO week."""
    slices: Text = "*"
    """The slices it is measured for: `*`, a name, or a shell pattern."""
    min_events: Count = 1
    """With fewer events than this the verdict is unknown."""
    target: Target = 0.99
    """The share of windows that must meet the objective."""
    open_after: Count = 1
    """So many breached windows open a breach."""
    open_within: Annotated[int, Field(ge=0)] = 0
    """Among so many windows; as many as `open_after`, which is in a row, unless told."""
    close_after: Count = 2
    """So many met windows in a row close it."""
    overrides: Overrides = ()
    """Other limits for some slices or models."""
    description: str = ""
    """What is promised, and why."""
    severity: SeverityName = SeverityName.CRITICAL
    """How much a breach hurts: `info`, `warning`, `critical` or `emergency`."""
    owner: str = ""
    """Whom an alert is for."""
    runbook: str = ""
    """What to do first when it is breached."""


def _distinct(defined: tuple[DefinedSlo, ...]) -> tuple[DefinedSlo, ...]:
    names = [entry.name for entry in defined]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"two SLOs are named {', '.join(twice)}; rename one")
    return defined


class SloSection(Section):
    """Which SLOs there are; every other key is the name of one and holds its settings."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, SloSettings] = Field(init=False)

    mode: ModeName = ModeName.THRESHOLD
    """How the verdicts of SLOs come about that do not say: `threshold` or `evidence`."""
    modules: tuple[Text, ...] = ()
    """Modules with SLOs of your own: an importable name, or the path of a .py file."""
    disable: tuple[Text, ...] = ()
    """Names of SLOs that are not wanted."""
    define: Annotated[tuple[DefinedSlo, ...], AfterValidator(_distinct)] = ()
    """SLOs that need no code."""

    @property
    def named(self) -> dict[str, SloSettings]:
        """The settings of single SLOs by name."""
        return self.__pydantic_extra__ or {}


class ExclusionSettings(Section):
    """A span of agreed maintenance that no verdict may rest on."""

    start: Instant = Field(alias="from")
    """When it starts."""
    end: Instant = Field(alias="to")
    """When it ends; this instant is outside."""
    reason: Text
    """Why; people read it in every report."""
    author: Text
    """Who approved it."""
    slos: tuple[Text, ...] = ("*",)
    """Names or shell patterns of SLOs."""
    slices: Text = "*"
    """The slices: `*`, a name, or a shell pattern."""
    models: Text = "*"
    """The models: `*`, a name, or a shell pattern."""


class TierSettings(Section):
    """Burning `share` of the period's error budget within `long` is worth an alert."""

    name: SloName
    """The name of the tier in alerts."""
    share: Target
    """The share of the budget."""
    long: Duration
    """The span in which it burns."""
    short: Duration
    """A shorter span that must burn as fast, so that the alert ends soon after the cause."""


class BurnSettings(Section):
    """When the error budget burns too fast."""

    period: Duration = timedelta(days=28)
    """The span that the budget is for."""
    tiers: tuple[TierSettings, ...] | None = None
    """Tiers of your own in place of the four built-in ones."""
