"""What a team has agreed about its alerts: who is told, when, how often, and what mutes what."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from calslo_dagster.alerting.matchers import Matcher, matches
from calslo_dagster.alerting.model import Kind, Policy, Severity, Step

DEFAULT_POLICY: Final = "default"
# How the component is called that delivers to a channel, before the name of the channel.
DELIVERY: Final = "delivery:"


@dataclass(frozen=True, slots=True)
class Route:
    """Incidents whose labels match all of `matchers` escalate by the policy of this name."""

    matchers: tuple[Matcher, ...]
    policy: str


@dataclass(frozen=True, slots=True)
class Mute:
    """While an alert that matches `source` fires, those that match `target` are not told.

    equal: labels that both must share; the slice `*` of a source stands for every slice.
    """

    name: str
    source: tuple[Matcher, ...]
    target: tuple[Matcher, ...]
    equal: tuple[str, ...] = ("model",)


@dataclass(frozen=True, slots=True)
class Rules:
    """The agreement, as settings give it.

    group_wait: how long a new incident gathers members before anyone is told; repeat: how long after the last message
    an incident that goes on is told again, None for never; ack_expires: how long an acknowledgement holds; cool_down:
    an incident of the same group so soon after the last has flapped; flapping_after: from so many times on it is one
    that flaps, and ends only after it has been clear for `flapping_clear`; widespread_share, widespread_least: when so
    many of a model's slices break a promise at once it is one worse; lease: how long one attempt to send may hold a
    message.
    """

    environment: str = ""
    group_wait: timedelta = timedelta(0)
    repeat: Mapping[Severity, timedelta | None] = field(default_factory=dict)
    ack_expires: timedelta = timedelta(hours=8)
    cool_down: timedelta = timedelta(hours=1)
    flapping_after: int = 2
    flapping_clear: timedelta = timedelta(hours=1)
    widespread_share: float = 0.5
    widespread_least: int = 3
    lease: timedelta = timedelta(seconds=30)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    routes: tuple[Route, ...] = ()
    mutes: tuple[Mute, ...] = ()
    fallback: tuple[str, ...] = ("log",)

    def policy_for(self, labels: Mapping[str, str]) -> tuple[Policy, str]:
        """Return the policy of the first route that matches, else the default one, and why it is that one.

        What a channel does not take is told on the fall-back channels, whatever the routes say.
        """
        component = labels.get("slo", "")
        if labels.get("kind") == Kind.PIPELINE and component.startswith(DELIVERY):
            others = tuple(name for name in self.fallback if name != component.removeprefix(DELIVERY)) or self.fallback
            return Policy("fallback", (Step(channels=others),)), f"it is about {component}, which takes no messages"
        for number, route in enumerate(self.routes, start=1):
            if matches(route.matchers, labels):
                shown = ", ".join(str(matcher) for matcher in route.matchers) or "everything"
                return self.policies[route.policy], f"route {number} ({shown}) names policy {route.policy}"
        default = self.policies.get(DEFAULT_POLICY) or Policy(DEFAULT_POLICY, (Step(channels=self.fallback),))
        return default, f"no route matches, so policy {default.name}"
