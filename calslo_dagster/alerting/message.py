"""What people are told: the title and the text of every message."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import groupby
from typing import Final

from calslo_dagster.alerting.facts import Facts, Member, Words
from calslo_dagster.alerting.headline import LONGEST_TITLE, headline
from calslo_dagster.alerting.model import Action, Finding, Kind
from calslo_dagster.alerting.phrases import shorten
from calslo_dagster.alerting.plain_facts import plain_facts
from calslo_dagster.alerting.readings import (
    bound,
    detail,
    detail_of,
    estimate,
    has_model,
    kind_of,
    lasted,
    moment,
    place,
    scope,
    span,
    subject,
    times,
)

LONGEST_TEXT: Final = 3_500
# Whoever reads three slices knows where to look; the rest is counted.
SHOWN_SLICES: Final = 3
LONGEST_SLICE_LINE: Final = 240
_WHOLE: Final = 1_000_000
# Times that are nearer than this say the same thing twice.
_SAME_TIME: Final = timedelta(minutes=1)
_SILENT: Final = "A silence has ended"
_TEST: Final = "This is a test: nothing is wrong, and nobody has to act."
_TROUBLE: Final = {
    Kind.BREACH: " is breached for {scope}.",
    Kind.BLIND: " cannot be judged for {scope}, so it counts neither as met nor as breached.",
    Kind.BURN: " uses up its error budget too fast for {scope}.",
    Kind.PIPELINE: ": calslo itself is in trouble, not a model.",
}
_FIRST: Final = {
    Kind.BREACH: "run `calslo slos show {slo}` and follow its runbook.",
    Kind.BLIND: "see whether events and labels still arrive: the checks of calibration_snapshots in Dagster.",
    Kind.BURN: "find the breaches that use up the budget, and end them.",
    Kind.PIPELINE: "look at the latest runs of minute_job in Dagster.",
}


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of the text and its paragraph; where room is short, the lines with the highest `gives` are cut first.

    floor: how short it may be cut; may_go: it may be left out where even that is too long; fact: what no other line may
    tell again.
    """

    paragraph: int
    text: str
    gives: int = 0
    floor: int = _WHOLE
    may_go: bool = False
    fact: str = ""


def compose(facts: Facts, action: Action) -> Words:
    """Return what a message says: symptom first, every fact once, safe to show whatever the facts hold.

    The title is one line of at most 80 characters where that can be, never more than 150; the text is plain lines, at
    most 3,500 characters in all.
    """
    shown = plain_facts(facts)
    if shown.kind == Kind.SILENCE:
        title = shorten(shown.title, LONGEST_TITLE) or _SILENT
        return Words(title, shorten(f"{shown.reason}\n\n{shown.note}", LONGEST_TEXT))
    parts = (_opening(shown, action), _slices(shown), _background(shown, action), _answers(shown, action), _end(shown))
    lines = [line for part in parts for line in part]
    return Words(headline(shown, action), _joined(_fitted(_distinct(lines))))


def _opening(facts: Facts, action: Action) -> Iterator[_Line]:
    if action is Action.TEST:
        yield _Line(0, _TEST)
    yield _Line(0, _what(facts, action))
    if facts.slices == 1 and facts.worst and facts.worst[0].finding.value is not None:
        only = facts.worst[0].finding
        yield _Line(0, shorten(f"Estimate: {estimate(only, facts.unit)}{_limit(facts, only)}", LONGEST_SLICE_LINE))
    known = detail(facts.worst[0].finding.reason) if facts.worst else ""
    if facts.direction.lower() not in known.lower():
        yield from _labeled(0, "Direction", facts.direction)
    yield from _labeled(0, "Promise", facts.promise)
    if facts.worst:
        yield from _worst(facts, facts.worst[0])
    yield from _times(facts)


def _what(facts: Facts, action: Action) -> str:
    within = f" in {facts.environment}" if facts.environment else ""
    whose = f" of {facts.model}{within}" if has_model(facts) else within
    if action is Action.RESOLVE:
        where = f", {scope(facts)}" if facts.slices else ""
        return f"Resolved: {subject(facts)}{whose}{where}."
    trouble = _TROUBLE[kind_of(facts)].format(scope=scope(facts) or "an unknown number of slices")
    return f"{subject(facts)}{whose}{trouble}"


def _worst(facts: Facts, member: Member) -> Iterator[_Line]:
    """Yield what the verdict on the worst slice says beyond its figures, and the window that it rests on."""
    label, finding = "Detail of the worst" if facts.slices > 1 else "Detail", member.finding
    yield from _labeled(0, label, detail_of(facts, member), gives=9, floor=40, may_go=True)
    if finding.window_start and finding.window_end:
        yield _Line(0, f"Window: {span(finding.window_start, finding.window_end)}")


def _times(facts: Facts) -> Iterator[_Line]:
    if facts.resolved_at:
        yield _Line(0, f"Lasted: {span(facts.since, facts.resolved_at)}, {lasted(facts)}")
    else:
        yield _Line(0, f"Since: {moment(facts.since)}, for {lasted(facts)}")
    if abs(facts.opened_at - facts.since) >= _SAME_TIME:
        yield _Line(0, f"Incident opened: {moment(facts.opened_at)}")
    if facts.flapping:
        yield _Line(0, f"Flapping: {facts.flapping}")
    elif facts.flaps:
        yield _Line(0, f"Again: it came back {times(facts.flaps)} soon after it had been resolved")


def _slices(facts: Facts) -> Iterator[_Line]:
    shown = facts.worst[:SHOWN_SLICES]
    if facts.slices > 1 and shown:
        is_ranked = kind_of(facts) is not Kind.BLIND and shown[0].finding.value is not None
        yield _Line(1, "Worst slices, by excess over the limit times events:" if is_ranked else "Slices:")
        for number, member in enumerate(shown, start=1):
            yield _Line(1, f"{number}. {_member(facts, member)}")
        rest = facts.slices - len(shown)
        if rest:
            yield _Line(1, f"and {rest:,} more")
    peak = facts.peak
    if peak and not any(_is_same(peak, member) for member in shown):
        yield _Line(1, f"Peak: {_member(facts, peak)}", gives=8, may_go=True)


def _member(facts: Facts, member: Member) -> str:
    finding = member.finding
    found = estimate(finding, facts.unit) or finding.reason or "not measured"
    has_own_time = abs(member.since - facts.since) >= _SAME_TIME
    since = f", since {moment(member.since)}" if has_own_time else ""
    line = f"{place(member.slice)}: {found}{_limit(facts, finding)}"
    return f"{shorten(line, LONGEST_SLICE_LINE - len(since))}{since}"


def _is_same(one: Member, other: Member) -> bool:
    return one.slice == other.slice and one.finding.value == other.finding.value


def _limit(facts: Facts, finding: Finding) -> str:
    """Return the limit where the promise does not name it, because it depends on the number of events or the slice."""
    if finding.limit is None or finding.value is None:
        return ""
    limit = bound(finding.limit, facts.unit)
    named = re.search(rf"(?<![\d.,]){re.escape(limit)}(?![.,]?\d)", facts.promise.replace(" and ", " to "))
    return "" if named else f", limit {limit}"


def _background(facts: Facts, action: Action) -> Iterator[_Line]:
    why = "Why it is over" if action is Action.RESOLVE else "Reason"
    yield from _labeled(2, why, facts.reason, gives=4, floor=80)
    yield from _labeled(2, "Budget", facts.budget, gives=3, floor=80)
    yield from _labeled(2, "Likely cause", facts.cause, gives=5, floor=60, may_go=True)
    for change in facts.changes:
        yield from _labeled(2, "Changed", change, gives=7, floor=40, may_go=True)
    for caution in facts.cautions:
        yield from _labeled(2, "Caution", caution, gives=6, floor=40, may_go=True)
    yield from _labeled(2, "Acknowledged by", facts.acked_by)
    yield from _labeled(2, "Note", facts.note, gives=5, floor=80)


def _answers(facts: Facts, action: Action) -> Iterator[_Line]:
    """Yield what to do; an incident that is over asks for nothing first."""
    yield from _labeled(3, "Owner", facts.owner)
    if action is not Action.RESOLVE:
        is_link = facts.first_action in {link.url for link in facts.links}
        usual = "follow the runbook." if is_link else _FIRST[kind_of(facts)].format(slo=facts.slo)
        first = usual if is_link else facts.first_action or usual
        yield from _labeled(3, "First", first, gives=2, floor=200)
    for number, link in enumerate(facts.links):
        url = link.url or "left out, it is no address or too long"
        yield _Line(3, f"{link.words or 'Link'}: {url}", gives=10, may_go=number > 0)
    if facts.answers:
        yield _Line(4, "Commands:")
        yield from (_Line(4, f"  {command}", may_go=True) for command in facts.answers)


def _end(facts: Facts) -> Iterator[_Line]:
    yield from _labeled(5, "Why you", facts.why, gives=1, floor=80)
    yield from _labeled(5, "Next", facts.next_step, gives=1, floor=80)
    yield _Line(5, f"Incident: {facts.incident_id}, episode {facts.episode:,}, as of {moment(facts.at)}")


def _labeled(
    paragraph: int, label: str, body: str, *, gives: int = 0, floor: int = _WHOLE, may_go: bool = False
) -> Iterator[_Line]:
    if body:
        yield _Line(paragraph, f"{label}: {body}", gives, floor, may_go=may_go, fact=body)


def _distinct(lines: Sequence[_Line]) -> list[_Line]:
    """Return the lines without those whose fact an earlier one has told under another label."""
    first = {line.fact: line for line in reversed(lines)}
    return [line for line in lines if not line.fact or first[line.fact] is line]


def _fitted(lines: list[_Line]) -> list[_Line]:
    """Return the lines cut to the room there is, those that give way first before the others.

    What never gives way is bounded in `plain_facts`, so that there is room for it.
    """
    for at in sorted(range(len(lines)), key=lambda i: (-lines[i].gives, -i)):
        over = len(_joined(lines)) - LONGEST_TEXT
        if over > 0:
            lines[at] = _cut(lines[at], over)
    return lines


def _cut(line: _Line, over: int) -> _Line:
    """Return the line shorter by `over`, or as much shorter as it may be; nothing if it may go."""
    room = len(line.text) - over
    if room < line.floor and line.may_go:
        return replace(line, text="")
    return replace(line, text=shorten(line.text, max(room, line.floor)))


def _joined(lines: Sequence[_Line]) -> str:
    shown = [line for line in lines if line.text]
    paragraphs = groupby(shown, key=lambda line: line.paragraph)
    return "\n\n".join("\n".join(line.text for line in group) for _, group in paragraphs)
