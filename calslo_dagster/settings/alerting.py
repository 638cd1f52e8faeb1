"""The `alerting` section: who is told, when, how often, and what keeps quiet."""

from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import (
    NO_LIMIT,
    Count,
    Duration,
    Ratio,
    Reference,
    RepeatWait,
    Text,
    Wait,
    WebAddress,
)


class SeverityName(StrEnum):
    """How much it hurts, least first."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"


class StillName(StrEnum):
    """What must still hold for a step to be taken."""

    UNACKED = "unacked"
    FIRING = "firing"


class StepSettings(Section):
    """One step: after `wait`, notify some channels or start over."""

    wait: Wait = timedelta(0)
    """How long after the step before; after the incident began for the first."""
    notify: tuple[Text, ...] = ()
    """The channels to tell."""
    repeat: Count | None = None
    """Start over from the first step, so many times at most; the last step only."""
    still: StillName = StillName.UNACKED
    """Taken if the incident is still `unacked`, or if it is still `firing` even though acknowledged."""
    at_least: SeverityName = SeverityName.INFO
    """Taken for this severity or worse."""

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if bool(self.notify) == bool(self.repeat):
            raise ValueError("a step names channels to notify, or repeat; write exactly one of them")
        if self.repeat and not self.wait:
            raise ValueError("repeat needs a wait, such as 30m; without one it would start over at once")
        return self


def _repeat_comes_last(steps: tuple[StepSettings, ...]) -> tuple[StepSettings, ...]:
    early = [number for number, step in enumerate(steps[:-1], start=1) if step.repeat]
    if early:
        raise ValueError(f"step {early[0]} repeats, so the steps after it are never taken; move it to the end")
    return steps


PolicySteps = Annotated[tuple[StepSettings, ...], Field(min_length=1), AfterValidator(_repeat_comes_last)]


class RouteSettings(Section):
    """Which policy an incident escalates by; the first route that matches wins."""

    match: tuple[Text, ...] = ()
    """Matchers on kind, slo, model, environment and severity, such as `slo="ece_bound"`; all must hold."""
    policy: Text
    """The name of a policy."""


class MuteSettings(Section):
    """While an alert that matches `source` fires, those that match `target` are not told."""

    name: Text
    """What it is called in the audit log."""
    source: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Matchers of the alert that explains the others."""
    target: Annotated[tuple[Text, ...], Field(min_length=1)]
    """Matchers of the alerts that are explained."""
    equal: tuple[Text, ...] = ("model",)
    """Labels or slice columns that both must share; slice `*` of the source stands for every slice."""


class RepeatSection(Section):
    """How long after the last message an incident that goes on is told again, as a digest; `none` for never."""

    info: RepeatWait = NO_LIMIT
    """Of severity info."""
    warning: RepeatWait = timedelta(hours=24)
    """Of severity warning."""
    critical: RepeatWait = timedelta(hours=4)
    """Of severity critical."""
    emergency: RepeatWait = timedelta(hours=1)
    """Of severity emergency."""


class FlappingSection(Section):
    """When an incident that comes and goes is held open instead of being told each time."""

    after: Count = 2
    """From so many returns on."""
    clear_for: Duration = timedelta(hours=1)
    """Then it ends only after all has been well for so long."""


class WidespreadSection(Section):
    """When so many slices break one promise at once that it is an emergency."""

    share: Ratio = 0.5
    """The share of the slices that are judged."""
    at_least: Count = 3
    """And so many slices at least."""


class HeartbeatSection(Section):
    """A dead man's switch outside, which calls you when we no longer call it."""

    url: Reference | None = None
    """The address to ping; it is a secret as a whole."""
    every: Duration = timedelta(minutes=1)
    """How often, and only while our own audit finds nothing wrong."""


class TemplateSettings(Section):
    """Your own words, as Jinja2 templates over the facts of a message; what fails falls back to ours."""

    title: Text | None = None
    """One line."""
    text: Text | None = None
    """The body."""


class AlertingSection(Section):
    """Who is told, when, how often, and what keeps quiet."""

    environment: str = ""
    """The environment that alerts name, such as production."""
    policies: dict[str, PolicySteps] = Field(default_factory=dict)
    """Escalation policies by name; without `default` every channel but the log is told at once."""
    routes: tuple[RouteSettings, ...] = ()
    """Which incidents escalate by which policy; the policy `default` unless one matches."""
    mutes: tuple[MuteSettings, ...] | None = None
    """What explains what; the built-in ones unless told, `[]` for none."""
    group_wait: Wait = timedelta(0)
    """How long a new incident gathers slices before anyone is told."""
    repeat: RepeatSection = Field(default_factory=RepeatSection)
    """When an incident that goes on is told again."""
    ack_expires: Duration = timedelta(hours=8)
    """How long an acknowledgement holds."""
    cool_down: Duration = timedelta(hours=1)
    """An incident that comes back so soon after its end has flapped."""
    flapping: FlappingSection = Field(default_factory=FlappingSection)
    """What becomes of incidents that flap."""
    widespread: WidespreadSection = Field(default_factory=WidespreadSection)
    """When many slices make an emergency."""
    blind_after: Duration = timedelta(hours=24)
    """A slice that had verdicts and has had none for so long raises an alert of its own."""
    fallback: Annotated[tuple[Text, ...], Field(min_length=1)] = ("log",)
    """Channels that are told when a message cannot be delivered and when we ourselves fail."""
    heartbeat: HeartbeatSection = Field(default_factory=HeartbeatSection)
    """Who watches us."""
    templates: dict[str, TemplateSettings] = Field(default_factory=dict)
    """Your own words, by action (`trigger`, `update`, `ack`, `resolve`, `digest`, `test`) or `all`."""
    runbook_url: WebAddress | None = None
    """Where copies of the runbooks lie, for links in messages: /NAME.md is added, or `{name}` in it replaced."""
    link_key: Reference | None = None
    """The key that signs links to acknowledge; with it and `dashboard_url`, messages carry such links."""
