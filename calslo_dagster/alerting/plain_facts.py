"""Facts that are safe to show: each text one visible line of bounded length, each list no longer than people read."""

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Final

from calslo_dagster.alerting.facts import Facts, Link, Member
from calslo_dagster.alerting.model import Kind
from calslo_dagster.alerting.phrases import one_line

MOST_MEMBERS: Final = 10
MOST_ITEMS: Final = 3
MOST_LINKS: Final = 4
# Acknowledge, silence, look, and read what to do.
MOST_COMMANDS: Final = 4
LONGEST_SLICE: Final = 80
LONGEST_REASON: Final = 320
LONGEST_ITEM: Final = 160
# A budget burns so many times as fast as it lasts, whatever unit the values of its SLO have.
BURN_UNIT: Final = "times"
# A command or an address that was cut does something else than it says, so longer ones are left out whole.
LONGEST_COMMAND: Final = 260
LONGEST_URL: Final = 300
_LONGEST: Final = {
    "incident_id": 64,
    "kind": 16,
    "slo": 48,
    "model": 60,
    "environment": 30,
    "title": 60,
    "promise": 120,
    "unit": 16,
    "direction": 100,
    "acked_by": 60,
    "reason": 300,
    "budget": 160,
    "owner": 60,
    "first_action": 500,
    "why": 200,
    "next_step": 200,
    "note": 400,
    "flapping": 200,
    "cause": 300,
}


def plain_facts(facts: Facts) -> Facts:
    """Return the facts as they may be shown; what was left out of a list is counted in its last line."""
    texts: dict[str, Any] = {name: one_line(getattr(facts, name), most) for name, most in _LONGEST.items()}
    texts["unit"] = BURN_UNIT if facts.kind == Kind.BURN else texts["unit"]
    return replace(
        facts,
        **texts,
        slices=max(facts.slices, len(facts.worst)),
        worst=tuple(_member(one) for one in facts.worst[:MOST_MEMBERS]),
        peak=_member(facts.peak) if facts.peak else None,
        changes=_items(facts.changes),
        cautions=_items(facts.cautions),
        answers=tuple(_whole(facts.answers[:MOST_COMMANDS])),
        links=tuple(_link(link) for link in facts.links[:MOST_LINKS]),
    )


def _member(member: Member) -> Member:
    finding = replace(member.finding, reason=one_line(member.finding.reason, LONGEST_REASON))
    return replace(member, slice=one_line(member.slice, LONGEST_SLICE), finding=finding)


def _items(items: tuple[str, ...]) -> tuple[str, ...]:
    shown = tuple(one_line(item, LONGEST_ITEM) for item in items[:MOST_ITEMS])
    rest = len(items) - len(shown)
    return (*shown, f"and {rest:,} more") if rest else shown


def _whole(commands: Iterable[str]) -> Iterable[str]:
    for command in commands:
        line = one_line(command, LONGEST_COMMAND + 1)
        if len(line) <= LONGEST_COMMAND:
            yield line


def _link(link: Link) -> Link:
    url = one_line(link.url, LONGEST_URL + 1)
    is_usable = url == link.url and " " not in url and len(url) <= LONGEST_URL
    return Link(one_line(link.words, 40), url if is_usable else "")
