"""Which labels alerts have and which values are known of them, so that a mistyped matcher is refused, not obeyed."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import Kind, Severity
from calslo_dagster.alerting.rules import DELIVERY
from calslo_dagster.slo.parameters import unknown_name

# What an incident has, which a route sees: what the alerts of one incident share, and how bad it is.
INCIDENT: Final = ("kind", "slo", "model", "environment", "severity")
ALERT: Final = (*INCIDENT, "slice")
# What a window held back is a report, which nothing matches.
KINDS: Final = tuple(str(kind) for kind in Kind if kind is not Kind.SILENCE)
CLOSED: Final[Mapping[str, Collection[str]]] = {"kind": KINDS, "severity": tuple(map(str, Severity))}
# The component that judges the promises.
_EVALUATION: Final = "evaluation"
# Which jobs there are is known to the orchestrator alone.
JOB: Final = "job:"
_CALLED: Final = {"slo": "SLO"}


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The labels that matchers may name, and of some of them every value there is."""

    labels: Collection[str]
    values: Mapping[str, Collection[str]] = field(default_factory=dict)


def components(channels: Iterable[str]) -> tuple[str, ...]:
    """Return what the label `slo` may be for alerts about ourselves, apart from jobs."""
    return (_EVALUATION, *(f"{DELIVERY}{channel}" for channel in channels))


def unknown_label(name: str, labels: Collection[str]) -> str:
    """Return what is wrong with the name of a label, empty if there is such a one."""
    return "" if name in labels else unknown_name("label", name, dict.fromkeys(labels))


def unknown_value(matcher: Matcher, values: Mapping[str, Collection[str]]) -> str:
    """Return what is wrong with the value, empty if it is known, or the values of its label are not.

    A label that an alert lacks is the empty text; a pattern has to speak of one of the known values.
    """
    known = values.get(matcher.label)
    is_job = matcher.label == "slo" and matcher.value.startswith(JOB)
    is_absent = matcher.label not in CLOSED and matcher.names("")
    if known is None or is_job or is_absent or any(map(matcher.names, known)):
        return ""
    what = _CALLED.get(matcher.label, matcher.label)
    if matcher.operator.is_pattern:
        return f"{matcher} speaks of no {what} there is; there is {_listed(known)}."
    return unknown_name(what, matcher.value, dict.fromkeys(filter(None, known)))


def mistakes_in(matchers: Iterable[Matcher], known: Vocabulary) -> list[str]:
    """Return what is wrong with the labels, and with the values of those that have only so many."""
    found = (unknown_label(m.label, known.labels) or unknown_value(m, known.values) for m in matchers)
    return [text for text in found if text]


def named(labels: Mapping[str, str]) -> str:
    """Return what an incident with these labels is about, in a few words."""
    what = f"{labels.get('kind', '')} of {labels.get('slo', '')}"
    return ", ".join(filter(None, [what, labels.get("model"), labels.get("environment")]))


def _listed(known: Collection[str], most: int = 20) -> str:
    names = sorted(filter(None, known))
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{more}" if names else "none"
