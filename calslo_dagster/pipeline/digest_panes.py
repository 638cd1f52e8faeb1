"""Digest the panes of snapshots, so that a window is measured again when what it rests on changed, and only then."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from calslo_dagster.engine.panes import pane_digests
from calslo_dagster.pipeline.read_snapshots import Snapshots
from calslo_dagster.slo.windows import Window
from calslo_dagster.sources.base import micros
from calslo_dagster.store.partials import Kind


@dataclass(frozen=True, slots=True)
class DigestedPanes:
    """The panes that have rows, in the order of time: when each begins, what is in it, and which slices are in it.

    They say the same of a day however many partials hold it, so that merging its hours changes no digest.
    """

    starts: tuple[int, ...]
    facts: tuple[str, ...]
    slices: tuple[str, ...]

    def facts_of(self, window: Window) -> str:
        """Return what identifies all sums of all slices over the window."""
        return self._digest(self.facts, window)

    def slices_of(self, window: Window) -> str:
        """Return what identifies which slices have rows in the window, and in which panes of it."""
        return self._digest(self.slices, window)

    def _digest(self, panes: Sequence[str], window: Window) -> str:
        first, last = (bisect_left(self.starts, micros(edge)) for edge in (window.start, window.end))
        return sha256("\n".join(panes[first:last]).encode()).hexdigest()


def digest_panes(snapshots: Snapshots, *, with_labels: bool = True) -> DigestedPanes:
    """Return the digests of all panes of the snapshots; late labels included, unless nobody looks at them."""
    facts: dict[int, list[int]] = {}
    slices: dict[int, list[int]] = {}
    for partial in snapshots.listed:
        if not partial.path or (partial.kind is Kind.LABEL and not with_labels):
            continue
        for pane in pane_digests(snapshots.connection, snapshots.project.partials / partial.path):
            facts.setdefault(pane.start_us, []).append(pane.facts)
            if partial.kind is Kind.EVENT:
                # Labels are of events that were counted before them, so they bring no slice along.
                slices.setdefault(pane.start_us, []).append(pane.slices)
    starts = tuple(sorted(facts))
    return DigestedPanes(starts, _texts(starts, facts), _texts(starts, slices))


def _texts(starts: Sequence[int], found: dict[int, list[int]]) -> tuple[str, ...]:
    return tuple(f"{start} {sorted(found.get(start, []))}" for start in starts)
