"""PagerDuty, by Events API v2.

| letter          | event                                                                                            |
| --------------- | ------------------------------------------------------------------------------------------------ |
| trigger         | `trigger`: the same key joins the open incident without paging again, and opens one if none is.  |
|                 | After a rise or a lost acknowledgement `resolve` of the old key first, and `trigger` of a new one |
| update          | none, but `trigger` if the page itself was lost                                                   |
| ack, resolve    | `acknowledge`, `resolve`; PagerDuty drops both when the key has no open incident                  |
| digest          | none: it sums up what the incident already knows, and an event would page those who closed it    |
| test            | `trigger` with severity info, then `resolve`, so that nothing stays open                          |
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Final

from calslo_dagster.alerting.facts import Member
from calslo_dagster.alerting.model import Action, Finding, Severity
from calslo_dagster.alerting.pager_keys import Event, events, triggered
from calslo_dagster.alerting.phrases import one_line
from calslo_dagster.alerting.plain_facts import plain_facts
from calslo_dagster.alerting.readings import bound, detail_of, estimate, moment, subject
from calslo_dagster.channels import figures
from calslo_dagster.channels.base import Letter, Receipt
from calslo_dagster.channels.http import encoded, post
from calslo_dagster.channels.redact import conceal
from calslo_dagster.channels.secret import Secret

SUMMARY: Final = 1024
# The outcome of a letter that is taken and means no event.
UNSENT: Final = "PagerDuty has no use for it"
_PATH: Final = "/v2/enqueue"
# As every text and list has its bound, an event stays below 64 KB; PagerDuty takes 512.
_TEXT: Final = 500
# `critical` is kept for what pages everybody.
_SEVERITIES: Final = {
    Severity.INFO: "info",
    Severity.WARNING: "warning",
    Severity.CRITICAL: "error",
    Severity.EMERGENCY: "critical",
}
Json = dict[str, Any]


class Region(StrEnum):
    """Where the PagerDuty account lives."""

    US = "us"
    EU = "eu"

    @property
    def host(self) -> str:
        """The address that takes events."""
        return f"https://events{'.eu' if self is Region.EU else ''}.pagerduty.com"


@dataclass(frozen=True, slots=True)
class PagerDutyChannel:
    """Opens, acknowledges and resolves one PagerDuty incident per episode at a time.

    routing_key: the integration's key, 32 characters; a later event must carry the same one. base_url: another address
    than the region's.
    """

    name: str
    routing_key: Secret
    region: Region = Region.US
    base_url: str = ""

    def __post_init__(self) -> None:
        conceal(self.routing_key)

    async def send(self, letter: Letter) -> Receipt:
        """Send the event that the letter means to PagerDuty."""
        told = list(_events(letter))
        for event, key in told:
            await self._enqueue(letter, event, key)
        if not told:
            return Receipt(letter.ref, UNSENT)
        page = triggered(letter.action, page=letter.facts.page, known=_known(letter))
        return Receipt({"dedup_key": told[-1][1], **({"page": str(page)} if page else {})}, "accepted")

    async def _enqueue(self, letter: Letter, event: Event, key: str) -> None:
        body = {"routing_key": self.routing_key.reveal(), "event_action": str(event), "dedup_key": key}
        if event is Event.TRIGGER:
            body |= described(letter)
        await post(self.name, f"{self.base_url or self.region.host}{_PATH}", encoded(body))


def _events(letter: Letter) -> Iterable[tuple[Event, str]]:
    if letter.action is Action.TEST:
        return [(event, letter.dedup_key) for event in (Event.TRIGGER, Event.RESOLVE)]
    return events(letter.action, letter.dedup_key, page=letter.facts.page, known=_known(letter))


def _known(letter: Letter) -> int:
    """Return the last page that this channel has triggered for certain, 0 if it is not known."""
    return int(letter.ref.get("page", "0"))


def described(letter: Letter) -> Json:
    """Return what a trigger says beside its key: payload, links, client."""
    known = replace(letter, facts=plain_facts(letter.facts))
    links = [{"href": link.url, "text": _line(link.words)} for link in figures.web_links(known.facts)]
    linked = {"client_url": links[0]["href"], "links": links} if links else {}
    return {"payload": _payload(known), "client": "calslo", **linked}


def _payload(letter: Letter) -> Json:
    facts = letter.facts
    severity = Severity.INFO if letter.action is Action.TEST else letter.severity
    named = {
        "component": facts.slo,
        "group": figures.where(facts),
        "class": f"{facts.kind}.{facts.slo}",
    }
    return {
        "summary": one_line(letter.words.title, SUMMARY) or "calslo",
        "source": _line(figures.where(facts)) or "calslo",
        "severity": _SEVERITIES[severity],
        "timestamp": facts.opened_at.isoformat(),
        **{name: _line(text) for name, text in named.items() if text},
        "custom_details": _details(letter),
    }


def _details(letter: Letter) -> Json:
    facts, worst = letter.facts, figures.worst(letter.facts)
    finding = worst.finding if worst else None
    texts = {
        "slo": subject(facts),
        "promise": facts.promise,
        "estimate": estimate(finding, facts.unit) if finding else "",
        "limit": _limit(finding, facts.unit) if finding else "",
        "detail": detail_of(facts, worst) if worst else "",
        "window": figures.window(finding) if finding else "",
        "direction": facts.direction,
        "error_budget": facts.budget,
        "since": moment(facts.since),
        "flapping": facts.flapping,
        "likely_cause": facts.cause,
        "owner": facts.owner,
        "first_action": facts.first_action,
        "why": facts.why,
        "next_step": facts.next_step,
        "reason": facts.reason,
        "note": facts.note,
        "acknowledged_by": facts.acked_by,
        "incident": letter.incident_id,
    }
    counts = {"episode": letter.episode, "events": finding.events if finding else 0, "flaps": facts.flaps}
    lists = {"what_changed": facts.changes, "careful": facts.cautions, "answers": facts.answers}
    return {
        **{name: _line(text) for name, text in texts.items() if text},
        **counts,
        "slices": facts.slices,
        "worst_slices": [_slice(one, facts.unit) for one in facts.worst],
        **{name: list(lines) for name, lines in lists.items() if lines},
    }


def _slice(member: Member, unit: str) -> Json:
    return {
        "slice": _line(member.slice),
        "estimate": estimate(member.finding, unit),
        "limit": _limit(member.finding, unit),
        "events": member.finding.events,
        "since": moment(member.since),
    }


def _limit(finding: Finding, unit: str) -> str:
    return "" if finding.limit is None else bound(finding.limit, unit)


def _line(text: str) -> str:
    return one_line(text, _TEXT)
