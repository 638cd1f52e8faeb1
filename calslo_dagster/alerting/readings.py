"""Numbers, places and times of an incident in words."""

from datetime import UTC, datetime, timedelta
from typing import Final

from calslo_dagster.alerting.facts import Facts, Member
from calslo_dagster.alerting.model import EVERYTHING, Finding, Kind
from calslo_dagster.slo.limits import figure
from calslo_dagster.slo.windows import spoken

ALL_TRAFFIC: Final = "all traffic"
# What a verdict's reason says first, the value against its limit, stands in the message already.
_VERDICTS: Final = ("; it must be ", "; it should be ", ", within its limits")


def estimate(finding: Finding, unit: str) -> str:
    """Return the value with its interval and events, `0.083 [0.071, 0.096], n = 41,280`; empty without a value."""
    if finding.value is None:
        return ""
    shown = figure(finding.value, unit)
    if finding.low is not None and finding.high is not None:
        shown += f" [{figure(finding.low, unit)}, {figure(finding.high, unit)}]"
    return f"{shown}, n = {finding.events:,}" if finding.events else shown


def against(finding: Finding, unit: str) -> str:
    """Return the value against its limit, `0.083 > 0.05`, or `0.04, limit 0.05` if it is kept; empty without one."""
    value, limit = finding.value, finding.limit
    if value is None:
        return ""
    if limit is None:
        return figure(value, unit)
    if finding.excess < 0:
        return f"{figure(value, unit)}, limit {bound(limit, unit)}"
    if isinstance(limit, tuple):
        is_inside = limit[0] <= value <= limit[1]
        return f"{figure(value, unit)} {'within' if is_inside else 'outside'} {bound(limit, unit)}"
    if value == limit:
        return f"{figure(value, unit)} at its limit"
    shown, kept = figure(value, unit), bound(limit, unit)
    # A value that rounds to its own limit would read as a contradiction.
    shown = _precise(value, unit) if shown == kept else shown
    return f"{shown} {'>' if value > limit else '<'} {kept}"


def bound(limit: float | tuple[float, float], unit: str) -> str:
    """Return a limit: `0.05`, or `0.7 to 1.4` for a range."""
    if isinstance(limit, tuple):
        return f"{figure(limit[0], unit)} to {figure(limit[1], unit)}"
    return figure(limit, unit)


def detail(reason: str) -> str:
    """Return what a verdict's reason says beyond the value and its limit."""
    for mark in _VERDICTS:
        _, found, rest = reason.partition(mark)
        if found:
            return rest.partition(". ")[2]
    return reason


def place(slice_name: str) -> str:
    """Return the slice as people call it."""
    return ALL_TRAFFIC if slice_name == EVERYTHING else slice_name


def scope(facts: Facts) -> str:
    """Return how much is hurt: the slice if it is one, else `3 of 14 slices`; empty if nothing is known of it."""
    if facts.slices == 1 and facts.worst:
        return place(facts.worst[0].slice)
    return count(facts) if facts.slices else ""


def count(facts: Facts) -> str:
    """Return how many slices are hurt, of how many."""
    of = f" of {facts.measured:,}" if facts.measured > facts.slices else ""
    is_one = facts.slices == 1 and not of
    return f"{facts.slices:,}{of} {'slice' if is_one else 'slices'}"


def times(count: int) -> str:
    """Return how often: `once`, `3 times`."""
    return "once" if count == 1 else f"{count:,} times"


def detail_of(facts: Facts, member: Member) -> str:
    """Return what the verdict on the slice says beyond its figures; empty where that is all that is said of it."""
    is_listed = facts.slices > 1
    return "" if is_listed and member.finding.value is None else detail(member.finding.reason)


def subject(facts: Facts) -> str:
    """Return the promise with its name: `Calibration error (ece_bound)`."""
    return f"{facts.title} ({facts.slo})" if facts.title and facts.title != facts.slo else facts.slo or "calslo"


def kind_of(facts: Facts) -> Kind:
    """Return the kind; one that a newer version has written is told as a breach, rather than not at all."""
    return Kind(facts.kind) if facts.kind in set(Kind) else Kind.BREACH


def has_model(facts: Facts) -> bool:
    """Whether the incident is about one model that is known."""
    return facts.model not in ("", EVERYTHING)


def lasted(facts: Facts) -> str:
    """Return how long it has lasted, until it was resolved if it was: `2 h 10 min`."""
    return spoken(max(timedelta(0), (facts.resolved_at or facts.at) - facts.since))


def moment(instant: datetime) -> str:
    """Return an instant to the minute: `2026-03-02 10:00 UTC`."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def span(start: datetime, end: datetime) -> str:
    """Return a span to the minute: `2026-03-02 10:00 to 12:10 UTC`."""
    first, last = start.astimezone(UTC), end.astimezone(UTC)
    is_one_day = first.date() == last.date()
    return f"{first:%Y-%m-%d %H:%M} to {f'{last:%H:%M} UTC' if is_one_day else moment(last)}"


def _precise(value: float, unit: str) -> str:
    return f"{value * 100:.12g} %" if unit == "share" else f"{value:.12g}" + ("" if unit == "ratio" else f" {unit}")
