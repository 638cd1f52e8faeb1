"""Counters that never go down, over results that late labels may still change.

A verdict that turns from bad to good would make a plain count fall by one. Prometheus takes a fall for a restart and
adds the whole count anew, so that one late label would look like ten thousand bad windows. Each day is therefore
followed by itself, and only what is added to it counts.
"""

from collections import Counter
from dataclasses import astuple
from datetime import date
from threading import Lock

from calslo_dagster.reporting.totals import JudgedDay, Totals

OUTCOMES = ("good", "bad", "unknown", "excluded")
Labels = tuple[str, ...]


class Counters:
    """Counts since the first look of this process; safe to be used by several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._most: dict[tuple[str, date], tuple[int, ...]] = {}
        self._seen: set[str | int] | None = None
        self.evaluations: Counter[Labels] = Counter()
        self.breaches: Counter[Labels] = Counter()
        self.messages: Counter[Labels] = Counter()
        self.dropped = 0

    def watch(self, totals: Totals, *, dropped: int = 0) -> None:
        """Count what has been added since the last look; the first look counts nothing, but makes each count 0.

        dropped: series that this answer leaves out.
        """
        with self._lock:
            is_first = self._seen is None
            for one in totals.days:
                self._add(one, is_first=is_first)
            self._most = {(one.slo, one.day): self._most[one.slo, one.day] for one in totals.days}
            self._events(totals, self._seen or set(), is_first=is_first)
            self.dropped += dropped

    def _add(self, one: JudgedDay, *, is_first: bool) -> None:
        counts = astuple(one.tally)
        before = self._most.get((one.slo, one.day), counts if is_first else (0,) * len(counts))
        for outcome, was, count in zip(OUTCOMES, before, counts, strict=True):
            self.evaluations[one.slo, outcome] += max(0, count - was)
        # A count that first appears as 1 has not risen for Prometheus.
        self.breaches[(one.slo,)] += 0
        self._most[one.slo, one.day] = tuple(map(max, before, counts))

    def _events(self, totals: Totals, seen: set[str | int], *, is_first: bool) -> None:
        for opened in totals.breaches:
            self.breaches[(opened.slo,)] += not is_first and opened.id not in seen
        for sent in totals.messages:
            self.messages[sent.channel, sent.outcome] += not is_first and sent.id not in seen
        self._seen = {*(one.id for one in totals.breaches), *(one.id for one in totals.messages)}
