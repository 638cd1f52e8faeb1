"""The rules of alerting as the lower floors take them."""

from datetime import timedelta
from typing import Final

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import Policy, Step, Target
from calslo_dagster.alerting.rules import DEFAULT_POLICY, Mute, Route, Rules
from calslo_dagster.settings.alerting import AlertingSection, MuteSettings, RouteSettings, StepSettings
from calslo_dagster.settings.model import Settings
from calslo_dagster.slo.model import Severity

# What explains what, where nobody has said otherwise.
MUTES: Final = (
    MuteSettings(
        name="bad scores",
        source=('kind="breach"', 'slo="score_range"'),
        target=('kind="breach"', 'slo=~"ece_bound|clamp_activation|merged_bins|weekly_drift"'),
        equal=("environment", "slice"),
    ),
    MuteSettings(
        name="clamping merges bins",
        source=('kind="breach"', 'slo="clamp_activation"'),
        target=('kind="breach"', 'slo="merged_bins"'),
        equal=("environment", "slice"),
    ),
    MuteSettings(
        name="slices say more",
        source=('kind="breach"', 'slice!="*"'),
        target=('kind="breach"', 'slice="*"'),
        equal=("environment", "slo"),
    ),
    MuteSettings(
        name="breached now",
        source=('kind="breach"',),
        target=('kind="burn"',),
        equal=("environment", "slo", "slice"),
    ),
)


def rules(settings: Settings) -> Rules:
    """Return the rules; policies, routes and matchers have been checked with the file."""
    section = settings.alerting
    repeats = {severity: getattr(section.repeat, severity.value) for severity in Severity}
    return Rules(
        environment=section.environment,
        group_wait=section.group_wait,
        repeat={severity: wait if isinstance(wait, timedelta) else None for severity, wait in repeats.items()},
        ack_expires=section.ack_expires,
        cool_down=section.cool_down,
        flapping_after=section.flapping.after,
        flapping_clear=section.flapping.clear_for,
        widespread_share=section.widespread.share,
        widespread_least=section.widespread.at_least,
        policies=_policies(settings),
        routes=tuple(_route(route) for route in section.routes),
        mutes=tuple(_mute(mute) for mute in _agreed_mutes(section)),
        fallback=section.fallback,
    )


def _policies(settings: Settings) -> dict[str, Policy]:
    """Return the policies; without one called default, every channel to the outside is told at once, else the log."""
    named = {name: Policy(name, tuple(map(_step, steps))) for name, steps in settings.alerting.policies.items()}
    everyone = tuple(settings.channels.named) or ("log",)
    return {DEFAULT_POLICY: Policy(DEFAULT_POLICY, (Step(channels=everyone),))} | named


def _step(step: StepSettings) -> Step:
    return Step(
        wait=step.wait,
        channels=step.notify,
        repeat=step.repeat or 0,
        still=Target(step.still),
        at_least=Severity(step.at_least),
    )


def _agreed_mutes(section: AlertingSection) -> tuple[MuteSettings, ...]:
    return MUTES if section.mutes is None else section.mutes


def _route(route: RouteSettings) -> Route:
    return Route(_matchers(route.match), route.policy)


def _mute(mute: MuteSettings) -> Mute:
    return Mute(mute.name, _matchers(mute.source), _matchers(mute.target), mute.equal)


def _matchers(texts: tuple[str, ...]) -> tuple[Matcher, ...]:
    return tuple(Matcher.parse(text) for text in texts)
