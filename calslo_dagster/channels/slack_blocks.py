"""Slack messages as blocks, inside Slack's limits whatever the facts are.

Nothing is cut in the middle of an escape, a link or a code span: every piece is shortened before it is formatted, and
pieces that do not fit any more are counted instead.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any, Final

from calslo_dagster.alerting.facts import Facts, Link, Member
from calslo_dagster.alerting.model import Action, Severity
from calslo_dagster.alerting.phrases import one_line
from calslo_dagster.alerting.plain_facts import plain_facts
from calslo_dagster.alerting.readings import count, detail_of, lasted, moment, place, subject, times
from calslo_dagster.channels import figures
from calslo_dagster.channels.base import Letter

HEADER: Final = 150
SECTION: Final = 3000
FIELD: Final = 2000
FIELDS: Final = 10
BUTTON: Final = 75
TEXT: Final = 4000
ACK: Final = "calslo_ack"
SILENCE: Final = "calslo_silence_2h"
RUNBOOK: Final = "calslo_runbook"
REPEAT: Final = "(possible repeat) "
_LINE: Final = 400
_LIGHTS: Final = {
    Severity.INFO: "🔵",
    Severity.WARNING: "🟡",
    Severity.CRITICAL: "🔴",
    Severity.EMERGENCY: "🚨",
}
_ESCAPES: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}
Block = dict[str, Any]


def full(letter: Letter, *, interactive: bool) -> list[Block]:
    """Return the whole message: the root of an incident's thread, in its state as of the letter."""
    letter = _plain(letter)
    facts = letter.facts
    if letter.action in (Action.DIGEST, Action.TEST):
        return [_header(letter), *_text(letter), _context(letter)]
    parts = [
        _header(letter),
        _fields(facts),
        _section(_remarks(facts)),
        _section(_slices(facts)),
        _section(_list("Likely cause", (facts.cause,) if facts.cause else ())),
        _section(_list("What changed", facts.changes)),
        _section(_list("Careful", facts.cautions)),
        _section(_what_to_do(facts)),
        _context(letter),
        _actions(letter) if interactive else None,
    ]
    return [part for part in parts if part]


def short(letter: Letter) -> list[Block]:
    """Return what is new: a reply in the thread, or all that an incoming webhook says after the first message."""
    letter = _plain(letter)
    facts = letter.facts
    lines = [f"{_light(letter)} {escaped(title(letter), HEADER)}", *_outcome(facts)]
    lines += [f"{name}: {escaped(text, _LINE)}" for name, text in (("Why", facts.reason), ("Note", facts.note)) if text]
    section = _section(lines)
    return [*([section] if section else []), _context(letter)]


def title(letter: Letter) -> str:
    """Return the title, marked when the message may be there already."""
    is_repeat = letter.action is Action.TRIGGER and not letter.first_try
    return (REPEAT if is_repeat else "") + letter.words.title


def fallback(letter: Letter) -> str:
    """Return the whole message as escaped text, for when Slack refuses the blocks."""
    return fit([escaped(line, _LINE) for line in (title(letter), *letter.words.text.splitlines())], TEXT)


def escaped(text: str, longest: int) -> str:
    """Return one line in which Slack finds no mention and no link, no longer than given after escaping."""
    pieces = [_ESCAPES.get(char, char) for char in one_line(text, longest)]
    if sum(map(len, pieces)) > longest:
        ends = accumulate(map(len, pieces))
        pieces = [piece for piece, end in zip(pieces, ends, strict=True) if end < longest] + ["…"]
    whole = "".join(pieces)
    # A code span that lost its end would run on into what follows.
    return whole.replace("`", "'") if whole.count("`") % 2 else whole


def code(text: str, longest: int = 210) -> str:
    """Return the text as a code span."""
    return f"`{escaped(text.replace('`', chr(39)), longest - 2)}`"


def linked(link: Link) -> str:
    """Return a link, or only its words when its address is too long to be one."""
    url = link.url
    for char, code_point in (("&", "&amp;"), ("|", "%7C"), ("<", "%3C"), (">", "%3E")):
        url = url.replace(char, code_point)
    words = escaped(link.words, BUTTON)
    return f"<{url}|{words}>" if len(url) <= _LINE else words


def fit(lines: Sequence[str], longest: int) -> str:
    """Return as many of the lines as there is room for, and how many there is none for."""
    text, room = "", longest - len("\n… and 99,999,999 more")
    for number, line in enumerate(lines):
        joined = f"{text}\n{line}" if text else line
        if len(joined) > room:
            return f"{text}\n… and {len(lines) - number:,} more".strip()
        text = joined
    return text


def _plain(letter: Letter) -> Letter:
    return replace(letter, facts=plain_facts(letter.facts))


def _header(letter: Letter) -> Block:
    # Plain text: shown as it is, so nothing is escaped.
    text = one_line(f"{_light(letter)} {title(letter)}", HEADER)
    return {"type": "header", "text": {"type": "plain_text", "text": text, "emoji": True}}


def _light(letter: Letter) -> str:
    if letter.facts.resolved_at is not None or letter.action is Action.RESOLVE:
        return "🟢"
    return "👀" if letter.facts.acked_by else _LIGHTS[letter.severity]


def _fields(facts: Facts) -> Block | None:
    worst = figures.worst(facts)
    named = {
        "SLO": subject(facts),
        "Promise": facts.promise,
        "Worst" if facts.resolved_at is None else "Peak": figures.verdict(worst.finding, facts.unit) if worst else "",
        "Window": figures.window(worst.finding) if worst else "",
        "Direction": facts.direction,
        "Error budget": facts.budget,
        "Since": _since(facts),
        "Where": figures.where(facts),
        "Acknowledged by": facts.acked_by,
        "Owner": facts.owner,
    }
    fields = [_mrkdwn(f"*{name}*\n{escaped(text, _LINE)}") for name, text in named.items() if text]
    return {"type": "section", "fields": fields[:FIELDS]} if fields else None


def _remarks(facts: Facts) -> list[str]:
    """Return what no field has room for: what the verdict says beyond its figures, and that it comes and goes."""
    worst = figures.worst(facts)
    named = {"Detail": detail_of(facts, worst) if worst else "", "Flapping": facts.flapping}
    return [f"*{name}* {escaped(text, _LINE)}" for name, text in named.items() if text]


def _since(facts: Facts) -> str:
    end = facts.resolved_at
    if end is None:
        return moment(facts.since)
    return f"{moment(facts.since)}, ended {moment(end)} after {lasted(facts)}"


def _slices(facts: Facts) -> list[str]:
    if not facts.worst:
        return []
    rest = facts.slices - len(facts.worst)
    more = [f"… and {rest:,} more"] if rest > 0 else []
    return [f"*{count(facts).capitalize()}*", *(_slice(one, facts.unit) for one in facts.worst), *more]


def _slice(member: Member, unit: str) -> str:
    found = escaped(figures.verdict(member.finding, unit), 150)
    return f"• {code(place(member.slice))} {found}, since {moment(member.since)}"


def _list(name: str, lines: Iterable[str]) -> list[str]:
    found = [f"• {escaped(line, _LINE)}" for line in lines]
    return [f"*{name}*", *found] if found else []


def _what_to_do(facts: Facts) -> list[str]:
    lines = [f"*First action* {escaped(facts.first_action, 2 * _LINE)}"] if facts.first_action else []
    links = " · ".join(linked(link) for link in figures.web_links(facts))
    return [*lines, *([links] if links else []), *(code(answer, _LINE) for answer in facts.answers)]


def _outcome(facts: Facts) -> list[str]:
    if facts.resolved_at is None:
        worst = figures.worst(facts)
        return [_slice(worst, facts.unit)] if worst else []
    lines = [f"Lasted {lasted(facts)}"]
    lines += [f"Peak {_slice(facts.peak, facts.unit).removeprefix('• ')}"] if facts.peak else []
    return lines + ([f"Acknowledged by {escaped(facts.acked_by, _LINE)}"] if facts.acked_by else [])


def _text(letter: Letter) -> list[Block]:
    section = _section([escaped(line, _LINE) for line in letter.words.text.splitlines()])
    return [section] if section else []


def _context(letter: Letter) -> Block:
    facts = letter.facts
    flaps = f" · came back {times(facts.flaps)}" if facts.flaps else ""
    known = f"Incident {code(letter.incident_id)} · episode {letter.episode}{flaps}"
    told = (("Why you", facts.why), ("Next", facts.next_step)) if facts.resolved_at is None else ()
    said = [f"{name}: {escaped(text, _LINE)}" for name, text in told if text]
    return {"type": "context", "elements": [_mrkdwn(text) for text in (known, *said)]}


def _actions(letter: Letter) -> Block | None:
    facts, buttons = letter.facts, []
    if facts.resolved_at is None:
        if not facts.acked_by:
            buttons.append({**_button("Ack", ACK, letter), "style": "primary"})
        buttons.append(_button("Silence 2 h", SILENCE, letter))
    if book := figures.runbook(facts):
        buttons.append({**_button("Runbook", RUNBOOK, letter), "url": book.url})
    return {"type": "actions", "block_id": "calslo_actions", "elements": buttons} if buttons else None


def _button(words: str, action: str, letter: Letter) -> Block:
    # The key makes a second click recognisable; nothing secret may stand here, as everybody in Slack can read it.
    value = json.dumps({"incident_id": letter.incident_id, "episode": letter.episode, "nonce": letter.key[:200]})
    return {
        "type": "button",
        "action_id": action,
        "text": {"type": "plain_text", "text": words[:BUTTON], "emoji": True},
        "value": value,
    }


def _section(lines: Sequence[str]) -> Block | None:
    text = fit(lines, SECTION)
    # Slack refuses a section without text, which lines that are all blank would make.
    return {"type": "section", "text": _mrkdwn(text)} if text.strip() else None


def _mrkdwn(text: str) -> Block:
    return {"type": "mrkdwn", "text": text}
