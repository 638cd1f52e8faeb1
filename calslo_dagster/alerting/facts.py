"""Everything a message may say about an incident, frozen when the message is ordered."""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import lru_cache
from typing import Any, Final, Self

from calslo_dagster.alerting.model import Finding, Severity


@dataclass(frozen=True, slots=True)
class Member:
    """One slice of an incident: its name, since when it fires, and how bad it is."""

    slice: str
    since: datetime
    finding: Finding
    severity: Severity = Severity.CRITICAL


@dataclass(frozen=True, slots=True)
class Link:
    """An address with the words to click."""

    words: str
    url: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of an incident.

    title: that of the SLO; promise: it in words, such as `at most 0.015 over 24 h`; unit: how values read (`share`,
    `ratio`, `us`, `events`); direction: over- or under-confident, empty where it has none; worst: the slices that are
    hurt most, at most 10, worst first; slices: how many fire; measured: how many slices of the SLO are judged at all;
    budget: the error budget in words, empty if there is none; changes: what changed before it began; cautions: why the
    figures may mislead (label lag, blind slices); why: which policy and step sends this; next_step: what happens next;
    answers: how to acknowledge or silence, as commands; links: runbook, report, run and the like; note: what a person
    said; flaps, flapping: how often it came back, and how it comes and goes, empty unless it does so often;
    page: the number of times for which people have to be woken, at first 1; cause: what is likely behind the breach of
    the worst slice, empty where nothing stands out.
    """

    incident_id: str
    episode: int
    kind: str
    slo: str
    model: str
    environment: str
    severity: Severity
    since: datetime
    opened_at: datetime
    at: datetime
    title: str = ""
    promise: str = ""
    unit: str = "ratio"
    direction: str = ""
    slices: int = 0
    measured: int = 0
    worst: tuple[Member, ...] = ()
    peak: Member | None = None
    resolved_at: datetime | None = None
    acked_by: str = ""
    reason: str = ""
    flaps: int = 0
    budget: str = ""
    changes: tuple[str, ...] = ()
    cautions: tuple[str, ...] = ()
    owner: str = ""
    first_action: str = ""
    why: str = ""
    next_step: str = ""
    answers: tuple[str, ...] = ()
    links: tuple[Link, ...] = ()
    note: str = ""
    flapping: str = ""
    page: int = 1
    cause: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the facts as JSON values."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the facts that `to_json` wrote; keys of a newer version are left out, missing ones take defaults."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        for name in ("since", "opened_at", "at", "resolved_at"):
            known[name] = _time(known.get(name))
        known["severity"] = Severity(known["severity"])
        known["worst"] = tuple(_member(one) for one in known.get("worst", ()))
        known["peak"] = _member(known["peak"]) if known.get("peak") else None
        known["links"] = tuple(Link(**one) for one in known.get("links", ()))
        for name in ("changes", "cautions", "answers"):
            known[name] = tuple(known.get(name, ()))
        return cls(**known)


@dataclass(frozen=True, slots=True)
class Words:
    """A message in words: `title` is one line of at most 150 characters, `text` plain lines below it."""

    title: str
    text: str = field(default="")


_FINDING: Final = tuple(f.name for f in fields(Finding))
_AS_THEY_ARE: Final = frozenset({str, int, float, bool, type(None)})


def finding_from_json(data: Mapping[str, Any]) -> Finding:
    """Return the finding that was written as JSON."""
    limit = data.get("limit")
    times = {name: _time(data.get(name)) for name in ("window_start", "window_end")}
    return Finding(**{**data, **times, "limit": tuple(limit) if isinstance(limit, list) else limit})


def finding_to_json(finding: Finding) -> dict[str, Any]:
    """Return the finding as JSON values."""
    return {name: _plain(getattr(finding, name)) for name in _FINDING}


def _member(data: Mapping[str, Any]) -> Member:
    since = datetime.fromisoformat(data["since"])
    return Member(data["slice"], since, finding_from_json(data["finding"]), Severity(data["severity"]))


def _plain(value: Any) -> Any:
    if type(value) in _AS_THEY_ARE:
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Severity):
        return str(value)
    if hasattr(value, "__dataclass_fields__"):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    return value


# A look at ten thousand slices names a few windows.
@lru_cache(4_096)
def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
