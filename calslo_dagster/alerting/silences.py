"""Silences and maintenance windows: when they hold, for which alerts, and how people read them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from enum import StrEnum
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any, Final, NamedTuple, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from calslo_dagster.alerting.matchers import ALL, Matcher, leave_nothing_out, matches, written
from calslo_dagster.alerting.model import Severity
from calslo_dagster.alerting.phrases import unfit
from calslo_dagster.alerting.recurrence import SLACK, Recurrence, instant, recurrence, wall
from calslo_dagster.errors import CalsloError

_TIMES: Final = ("starts_at", "ends_at", "created_at", "expired_at")
# Enough occurrences to see two that overlap, in a rule of any shape that people write.
_LOOKED_AT: Final = 100


class SilenceError(CalsloError):
    """A silence cannot be as asked; carries every mistake found, one per line."""


class SilenceKind(StrEnum):
    """What somebody meant: an alert that is known, or work that is planned."""

    SILENCE = "silence"
    MAINTENANCE = "maintenance"


class Span(NamedTuple):
    """From `start` up to but without `end`, both UTC."""

    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Silence:
    """Who agreed that which alerts are not told, when and why.

    matchers: none of them means everything; zone: IANA name, in which people read it and in which it recurs; rrule: if
    it recurs, each occurrence lasts `duration` on the clock of the zone, the first no earlier than starts_at, which is
    itself one only if the rule says so and gives the time of day; nothing holds at or after ends_at, None for a
    recurring one without end; covers_emergency: emergencies are told otherwise; expired_at: somebody ended it early.
    """

    id: str
    matchers: tuple[Matcher, ...]
    starts_at: datetime
    ends_at: datetime | None
    reason: str
    author: str
    created_at: datetime
    zone: str = "UTC"
    rrule: str | None = None
    duration: timedelta | None = None
    kind: SilenceKind = SilenceKind.SILENCE
    ticket: str = ""
    covers_emergency: bool = False
    expired_at: datetime | None = None
    expired_by: str = ""

    def __post_init__(self) -> None:
        for name in _TIMES:
            moment = getattr(self, name)
            if moment is not None:
                object.__setattr__(self, name, _utc(moment, name))

    def to_json(self) -> dict[str, Any]:
        """Return the silence as JSON values."""
        times = {name: moment and moment.isoformat() for name in _TIMES for moment in (getattr(self, name),)}
        plain = {f.name: getattr(self, f.name) for f in fields(self)}
        seconds = None if self.duration is None else self.duration.total_seconds()
        matchers = [str(matcher) for matcher in self.matchers]
        return {**plain, **times, "matchers": matchers, "duration": seconds, "kind": str(self.kind)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Return the silence that `to_json` wrote; keys of a newer version are left out, missing ones take defaults."""
        known = {f.name: data[f.name] for f in fields(cls) if f.name in data}
        for name in _TIMES:
            known[name] = None if known.get(name) is None else datetime.fromisoformat(known[name])
        if known.get("duration") is not None:
            known["duration"] = timedelta(seconds=known["duration"])
        known["matchers"] = tuple(Matcher.parse(text) for text in known["matchers"])
        known["kind"] = SilenceKind(known.get("kind", SilenceKind.SILENCE))
        return cls(**known)


def active_span(silence: Silence, now: datetime) -> Span | None:
    """Return the span of the silence that holds at `now`, None if it does not; of several the one that ends last."""
    return _active_span(silence, _utc(now, "now"))


@lru_cache(maxsize=1_024)
def _active_span(silence: Silence, now: datetime) -> Span | None:
    # Each alert of a tick asks the same, and a rule takes a while to work out.
    found = _occurrences(silence, now, now + timedelta.resolution)
    return max(found, key=lambda span: span.end, default=None)


def next_span(silence: Silence, after: datetime) -> Span | None:
    """Return the first span that begins at `after` or later, None if there is none within the next decades."""
    after = _utc(after, "after")
    furthest = recurrence(silence.rrule).furthest if silence.rrule else timedelta.resolution
    found = _occurrences(silence, after, max(after, silence.starts_at) + furthest)
    return next((span for span in found if span.start >= after), None)


def spans(silence: Silence, start: datetime, end: datetime) -> list[Span]:
    """Return the spans that touch [start, end), in order and whole."""
    return list(_occurrences(silence, _utc(start, "start"), _utc(end, "end")))


def covering(
    labels: Mapping[str, str], severity: Severity, silences: Iterable[Silence], now: datetime
) -> Silence | None:
    """Return the silence that ends last of those that hold for these labels; emergencies need one that says so.

    One that has a `flaw` covers nothing: a page too many is better than none at all for everybody.
    """
    found = list[tuple[datetime, str, Silence]]()
    for silence in silences:
        passes = severity is Severity.EMERGENCY and not silence.covers_emergency
        if passes or not matches(silence.matchers, labels) or flaw(silence):
            continue
        if span := active_span(silence, now):
            found.append((span.end, silence.id, silence))
    return max(found, key=lambda one: one[:2])[2] if found else None


def flaw(silence: Silence) -> str:
    """Return why the silence cannot be worked out here, such as a zone that this machine lacks; empty if it can."""
    if silence.rrule is None:
        return ""
    return "; ".join([*_mistakes_of_zone(silence.zone), *_mistakes_of_rule(silence)])


def described(silence: Silence, after: datetime | None = None) -> str:
    """Return one line for people, in UTC and in the zone; a recurring one shows its next occurrence from `after` on."""
    after = silence.starts_at if after is None else after
    emergencies = ", emergencies too" if silence.covers_emergency else ""
    ticket = f" ({silence.ticket})" if silence.ticket else ""
    ended = f"; expired {_minute(silence.expired_at)} UTC by {silence.expired_by}" if silence.expired_at else ""
    line = (
        f"{silence.kind} {silence.id} of {written(silence.matchers)}{emergencies}: {_when(silence, after)}; "
        f"{silence.author}: {silence.reason}{ticket}{ended}"
    )
    return " ".join(line.split())


def checked(draft: Silence, matchers: Sequence[str]) -> Silence:
    """Return the draft with the matchers read from text, or raise SilenceError with every mistake.

    `all` among the texts says that it may leave nothing out; without it such matchers count as a mistake.
    """
    parsed, mistakes = _parsed(matchers)
    mistakes += [*_mistakes_of_words(draft, matchers), *_mistakes_of_zone(draft.zone), *_mistakes_of_times(draft)]
    mistakes += _mistakes_of_rule(draft)
    if not mistakes and draft.rrule is not None:
        mistakes += _mistakes_of_occurrences(draft, recurrence(draft.rrule))
    if mistakes:
        raise SilenceError("\n".join(mistakes))
    return replace(draft, matchers=parsed)


def _occurrences(silence: Silence, after: datetime, before: datetime) -> Iterator[Span]:
    """Yield the spans that end after `after` and begin before `before`, cut to what the silence allows."""
    ends = [moment for moment in (silence.ends_at, silence.expired_at) if moment is not None]
    for start, end in _windows(silence, after, min([before, *ends])):
        span = Span(max(start, silence.starts_at), min([end, *ends]))
        if span.start < span.end and after < span.end and span.start < before:
            yield span


def _windows(silence: Silence, after: datetime, before: datetime) -> Iterator[Span]:
    if silence.rrule is None:
        if silence.ends_at is not None:
            yield Span(silence.starts_at, silence.ends_at)
        return
    rule, zone, length = recurrence(silence.rrule), ZoneInfo(silence.zone), silence.duration or timedelta(0)
    # While a window lasts the clock shows less than its end, so none that began before `low` still does; but one may
    # have begun at a time that the clock, set back since, has yet to show again.
    low, high = wall(after, zone) - length, wall(before, zone) + SLACK
    until = rule.until
    if until is not None:
        high = min(high, until if until.tzinfo is None else wall(until, zone) + SLACK)
    for local in rule.starts(wall(silence.starts_at, zone), low, high):
        start = instant(local, zone)
        if until is not None and until.tzinfo is not None and start > until:
            return
        yield Span(start, instant(local + length, zone))


def _parsed(texts: Sequence[str]) -> tuple[tuple[Matcher, ...], list[str]]:
    parsed, mistakes = list[Matcher](), list[str]()
    for text in texts:
        if text.strip() != ALL:
            try:
                parsed.append(Matcher.parse(text))
            except ValueError as error:
                mistakes.append(str(error))
    said = any(text.strip() == ALL for text in texts)
    if not mistakes and not said and leave_nothing_out(parsed):
        shown = written(parsed) if parsed else "no matcher"
        mistakes.append(f"{shown} leaves no alert out; name some, such as slo=ece_bound, or add {ALL} if you mean that")
    return tuple(parsed), mistakes


def _mistakes_of_words(draft: Silence, matchers: Sequence[str]) -> Iterator[str]:
    words = {"reason": draft.reason, "author": draft.author, "ticket": draft.ticket, "rule": draft.rrule or ""}
    for name, text in [*words.items(), *(("matcher", one) for one in matchers)]:
        if why := unfit(text):
            yield f"the {name} {text!r} cannot be stored: {why}"
    if not draft.reason.strip():
        yield "the reason is empty; say why, so that whoever wonders at night knows"
    if not draft.author.strip():
        yield "the author is empty; say who answers for it"


def _mistakes_of_zone(zone: str) -> Iterator[str]:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = {name.lower(): name for name in available_timezones()}
        by_city = {name.rpartition("/")[2].lower(): name for name in sorted(known.values())}
        near = get_close_matches(zone.lower(), {**by_city, **known}, n=3)
        names = list(dict.fromkeys(known.get(name) or by_city[name] for name in near)) or ["UTC", "Europe/Berlin"]
        yield f"{zone!r} is not a time zone; write an IANA name such as {' or '.join(names)}"


def _mistakes_of_times(draft: Silence) -> list[str]:
    found = []
    if draft.ends_at is not None and draft.ends_at <= draft.starts_at:
        found.append(f"it ends at {draft.ends_at.isoformat()}, not after its start at {draft.starts_at.isoformat()}")
    elif draft.ends_at is not None and draft.ends_at <= draft.created_at:
        found.append(f"it ended at {draft.ends_at.isoformat()} already; give a later end")
    if draft.rrule is None:
        if draft.ends_at is None:
            found.append("it has no end; give one, or a rule by which it recurs")
        if draft.duration is not None:
            found.append("a duration is that of one occurrence of a rule; without a rule give an end instead")
    elif draft.duration is None or draft.duration <= timedelta(0):
        found.append(f"each occurrence of {draft.rrule!r} needs a duration above 0, such as 4h")
    return found


def _mistakes_of_rule(draft: Silence) -> list[str]:
    try:
        if draft.rrule is not None:
            recurrence(draft.rrule)
    except ValueError as error:
        return [str(error)]
    return []


def _mistakes_of_occurrences(draft: Silence, rule: Recurrence) -> list[str]:
    begin, length = wall(draft.starts_at, ZoneInfo(draft.zone)), draft.duration or timedelta(0)
    starts = list(islice(rule.starts(begin, begin, begin + rule.furthest), _LOOKED_AT))
    gap = min((later - earlier for earlier, later in pairwise(starts)), default=length)
    if gap < length:
        again = f"as {draft.rrule!r} comes again after {_length(gap)}"
        return [f"occurrences of {_length(length)} overlap, {again}; shorten them to that"]
    if active_span(draft, draft.created_at) is None and next_span(draft, draft.created_at) is None:
        end = "" if draft.ends_at is None else f" and before {draft.ends_at.isoformat()}"
        return [f"{draft.rrule!r} never comes true after {draft.created_at.isoformat()}{end}; check its parts"]
    return []


def _when(silence: Silence, after: datetime) -> str:
    if silence.rrule is None:
        return _both(Span(silence.starts_at, silence.ends_at or silence.starts_at), silence.zone)
    if wrong := flaw(silence):
        return f"{silence.rrule}, which cannot be worked out: {wrong}"
    coming = next_span(silence, after)
    shown = f"next {_both(coming, silence.zone)}" if coming else "never again"
    end = f", until {_minute(silence.ends_at)} UTC" if silence.ends_at else ""
    return f"{silence.rrule} for {_length(silence.duration or timedelta(0))}{end}, {shown}"


def _both(span: Span, zone: str) -> str:
    utc = f"{_minute(span.start)} to {_minute(span.end)} UTC"
    if zone == "UTC" or any(_mistakes_of_zone(zone)):
        return utc
    local = Span(*(moment.astimezone(ZoneInfo(zone)) for moment in span))
    return f"{utc} ({_minute(local.start)} to {_minute(local.end)} in {zone})"


def _length(duration: timedelta) -> str:
    minutes, seconds = divmod(int(duration.total_seconds()), 60)
    if seconds:
        return f"{minutes * 60 + seconds}s"
    return f"{minutes}m" if minutes % 60 else f"{minutes // 60}h"


def _minute(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S}".removesuffix(":00")


def _utc(moment: datetime, name: str) -> datetime:
    if moment.tzinfo is None:
        shown = moment.isoformat()
        raise ValueError(f"{name} {shown} has no time zone; write {shown}Z if it is UTC, or give its offset")
    return moment.astimezone(UTC)
