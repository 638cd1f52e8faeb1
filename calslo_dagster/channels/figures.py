"""Facts in few words, for the services that show them in fields."""

from typing import Final

from calslo_dagster.alerting.facts import Facts, Link, Member
from calslo_dagster.alerting.model import EVERYTHING, Finding
from calslo_dagster.alerting.readings import bound, estimate, span

SHOWN: Final = 10
ADDRESS: Final = 1000


def verdict(finding: Finding, unit: str) -> str:
    """Return value, interval, number of events and limit: how bad, and how sure."""
    found = estimate(finding, unit) or "not measured"
    return found if finding.limit is None else f"{found}, limit {bound(finding.limit, unit)}"


def window(finding: Finding) -> str:
    """Return the window that was measured, empty if it is not known."""
    if finding.window_start is None or finding.window_end is None:
        return ""
    return span(finding.window_start, finding.window_end)


def where(facts: Facts) -> str:
    """Return environment and model, the model left out where an SLO watches all of them."""
    return "/".join(part for part in (facts.environment, facts.model) if part not in ("", EVERYTHING))


def worst(facts: Facts) -> Member | None:
    """Return the slice to show when there is room for one: the worst now, after the end the worst there was."""
    if facts.resolved_at is not None and facts.peak is not None:
        return facts.peak
    return facts.worst[0] if facts.worst else facts.peak


def web_links(facts: Facts) -> tuple[Link, ...]:
    """Return the links that every service accepts; a link cut to length would lead nowhere."""
    return tuple(link for link in facts.links if _is_web(link.url) and len(link.url) <= ADDRESS)[:SHOWN]


def runbook(facts: Facts) -> Link | None:
    """Return the link to the runbook."""
    return next((link for link in web_links(facts) if "runbook" in link.words.lower()), None)


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://")) and url.isprintable() and " " not in url
