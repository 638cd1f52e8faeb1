"""What happened lately, for counters: windows judged, breaches opened, messages sent or given up."""

from dataclasses import dataclass
from datetime import date

from calslo_dagster.slo.availability import Tally


@dataclass(frozen=True, slots=True)
class JudgedDay:
    """The final windows of one SLO on one day, over all slices."""

    slo: str
    day: date
    tally: Tally


@dataclass(frozen=True, slots=True)
class Opened:
    """A breach that opened."""

    id: str
    slo: str


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that was delivered (`sent`) or given up (`dead`)."""

    id: int
    channel: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Totals:
    """What happened within the last days."""

    days: tuple[JudgedDay, ...] = ()
    breaches: tuple[Opened, ...] = ()
    messages: tuple[Sent, ...] = ()
