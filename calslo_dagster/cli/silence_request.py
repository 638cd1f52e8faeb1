"""What the options of `calslo silence add` ask for."""

import re
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import click

from calslo_dagster.alerting.recurrence import instant, wall
from calslo_dagster.alerting.silences import Silence, SilenceKind
from calslo_dagster.settings.types import parse_instant


@dataclass(frozen=True, slots=True)
class SilenceOptions:
    """The options as they were given; None and empty for what was not."""

    reason: str
    author: str
    length: timedelta | None = None
    start: str | None = None
    end: str | None = None
    rrule: str | None = None
    zone: str | None = None
    clock: str | None = None
    duration: timedelta | None = None
    ticket: str = ""
    covers_emergency: bool = False
    is_maintenance: bool = False


def draft_of(options: SilenceOptions, now: datetime) -> Silence:
    """Return the silence that the options ask for; its words, zone and rule are checked where it is added."""
    _require_one_form(options)
    start, end = (_start_of_rule(options, now), _end(options)) if options.rrule else _span(options, now)
    return Silence(
        id="",
        matchers=(),
        starts_at=start,
        ends_at=end,
        reason=options.reason,
        author=options.author,
        created_at=now,
        zone=options.zone or "UTC",
        rrule=options.rrule,
        duration=options.duration,
        kind=SilenceKind.MAINTENANCE if options.is_maintenance else SilenceKind.SILENCE,
        ticket=options.ticket,
        covers_emergency=options.covers_emergency,
    )


def _require_one_form(options: SilenceOptions) -> None:
    if options.rrule and options.length:
        raise click.UsageError(
            "each occurrence of --rrule lasts --duration; --for is for a silence that does not recur"
        )
    if not options.rrule and (options.clock or options.duration):
        raise click.UsageError("--start and --duration are for --rrule; write --for 2h, or --from and --to")
    if options.length and options.end:
        raise click.UsageError("--for and --to both say when it ends; write one of them")
    if not (options.rrule or options.length or options.end):
        raise click.UsageError("say how long: --for 2h, --to TIME, or --rrule with --start and --duration")


def _span(options: SilenceOptions, now: datetime) -> tuple[datetime, datetime | None]:
    start = _instant(options.start, options.zone, "--from") if options.start else now
    return start, start + options.length if options.length else _end(options)


def _end(options: SilenceOptions) -> datetime | None:
    return _instant(options.end, options.zone, "--to") if options.end else None


def _start_of_rule(options: SilenceOptions, now: datetime) -> datetime:
    """Return the instant from which the rule counts: the day of --from, or today, at the time of day of --start."""
    zone = _zone(options.zone)
    begin = wall(_instant(options.start, options.zone, "--from") if options.start else now, zone)
    if options.clock:
        return instant(datetime.combine(begin.date(), _time_of_day(options.clock)), zone)
    if not options.start and not re.search(r"BYHOUR", options.rrule or "", re.IGNORECASE):
        raise click.UsageError("say when each occurrence starts: --start 01:00, on the clock of --zone")
    return instant(begin, zone)


def _time_of_day(text: str) -> time:
    try:
        found = time.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is not None:
        raise click.UsageError(f"--start {text} is no time of day; write it as 01:00")
    return found


def _instant(text: str, zone: str | None, option: str) -> datetime:
    """Return the instant that is written with its zone, or as the clock of --zone shows it."""
    try:
        local = _local(text)
        return instant(local, _zone(zone)) if local is not None and zone else parse_instant(text)
    except ValueError as error:
        remedy = ", or name its --zone" if "no time zone" in str(error) else ""
        raise click.UsageError(f"{option}: {error}{remedy}") from None


def _local(text: str) -> datetime | None:
    """Return the time as the clock on the wall shows it; None if it has a zone of its own, or is no time."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is None else None


def _zone(name: str | None) -> ZoneInfo:
    """Return the zone; an unknown one is told with the other mistakes, where the silence is added."""
    try:
        return ZoneInfo(name or "UTC")
    except (KeyError, ValueError, OSError):
        return ZoneInfo("UTC")
