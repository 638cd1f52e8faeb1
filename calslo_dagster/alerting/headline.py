"""The title of a message: one line, symptom first, for the lock screen of a phone."""

import re
from dataclasses import dataclass
from typing import Final

from calslo_dagster.alerting.facts import Facts
from calslo_dagster.alerting.model import Action, Kind
from calslo_dagster.alerting.phrases import shorten
from calslo_dagster.alerting.readings import against, count, has_model, kind_of, lasted, scope

LONGEST_TITLE: Final = 150
# What a lock screen shows before it cuts.
GOOD_TITLE: Final = 80


@dataclass(frozen=True, slots=True)
class _Room:
    """How much each part of a title may take; 0 leaves it out. is_brief: call the SLO by its shortest name."""

    model: int
    subject: int
    scope: int
    is_brief: bool = True
    has_direction: bool = True


_NARROWER: Final = (
    _Room(model=60, subject=60, scope=80, is_brief=False),
    _Room(model=60, subject=60, scope=80),
    _Room(model=24, subject=60, scope=32, is_brief=False),
    _Room(model=24, subject=48, scope=24),
    _Room(model=16, subject=24, scope=16),
    _Room(model=24, subject=60, scope=0, is_brief=False),
    _Room(model=24, subject=48, scope=0),
    _Room(model=16, subject=24, scope=0),
    _Room(model=16, subject=24, scope=0, has_direction=False),
    _Room(model=0, subject=24, scope=0, has_direction=False),
)
_TROUBLE: Final = {
    Kind.BREACH: "is breached",
    Kind.BLIND: "cannot be judged",
    Kind.BURN: "burns its budget",
}


def headline(facts: Facts, action: Action) -> str:
    """Return the title of at most 80 characters if it can be, never more than 150; facts must be plain."""
    titles = [f"{_head(facts, action)} {' · '.join(_parts(facts, action, room))}" for room in _NARROWER]
    return next((title for title in titles if len(title) <= GOOD_TITLE), shorten(titles[-1], LONGEST_TITLE))


def _head(facts: Facts, action: Action) -> str:
    severity = facts.severity.upper()
    flapping = f"FLAPPING {severity}" if facts.flapping else ""
    heads = {
        Action.TRIGGER: flapping or severity,
        Action.RESOLVE: "RESOLVED",
        Action.ACK: "ACKNOWLEDGED",
        Action.UPDATE: f"UPDATE {severity}",
        Action.DIGEST: flapping or f"STILL {severity}",
        Action.TEST: f"TEST {severity}",
    }
    return heads.get(action, severity)


def _parts(facts: Facts, action: Action, room: _Room) -> list[str]:
    is_news = action not in (Action.RESOLVE, Action.ACK)
    parts = [
        shorten(facts.model, room.model) if has_model(facts) else "",
        _direction(facts) if is_news and room.has_direction else "",
        _symptom(facts, room) if is_news else _name(facts, room),
        _scope(facts, room),
        _tail(facts, action),
    ]
    return [part for part in parts if part]


def _direction(facts: Facts) -> str:
    """Return the direction without its figures."""
    return shorten(re.split(r"[(,;:]", facts.direction)[0].strip(), 24) if facts.kind == Kind.BREACH else ""


def _symptom(facts: Facts, room: _Room) -> str:
    name, kind = _name(facts, room), kind_of(facts)
    if kind is Kind.PIPELINE:
        return _trouble(facts, room)
    numbers = against(facts.worst[0].finding, facts.unit) if facts.worst and kind is not Kind.BLIND else ""
    trouble = "" if kind is Kind.BREACH and numbers else _TROUBLE[kind]
    return " ".join(word for word in (name, trouble, numbers) if word)


def _trouble(facts: Facts, room: _Room) -> str:
    """Return what is wrong with us: the title if there is one, else the component with what is known of it."""
    known = facts.worst[0].finding.reason if facts.worst else ""
    is_titled = facts.title and facts.title != facts.slo
    return _name(facts, room) if is_titled or not known else shorten(f"{facts.slo}: {known}", room.subject)


def _name(facts: Facts, room: _Room) -> str:
    """Return the SLO's title, or its name where that is what fits."""
    names = [name for name in (facts.title, facts.slo) if name] or ["calslo"]
    if room.is_brief:
        names.sort(key=len)
    return next((name for name in names if len(name) <= room.subject), shorten(names[0], room.subject))


def _scope(facts: Facts, room: _Room) -> str:
    if facts.kind == Kind.PIPELINE or not facts.slices or not room.scope:
        return ""
    whole = scope(facts)
    return whole if len(whole) <= room.scope else shorten(count(facts), room.scope)


def _tail(facts: Facts, action: Action) -> str:
    if action is Action.ACK:
        return f"by {shorten(facts.acked_by, 24)}" if facts.acked_by else ""
    if action is Action.RESOLVE:
        return f"after {lasted(facts)}"
    if action is Action.DIGEST or facts.kind == Kind.PIPELINE:
        return f"for {lasted(facts)}"
    return ""
