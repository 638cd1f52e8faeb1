"""Maintenance exclusions: spans of time that are agreed not to count, with a reason and who approved them."""

from collections.abc import Iterable
from dataclasses import dataclass

from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.slo.slices import matches
from calslo_dagster.slo.windows import Window


@dataclass(frozen=True, slots=True)
class Exclusion:
    """A span that no verdict may rest on, for the SLOs, slices and models (shell patterns) it names."""

    span: Window
    reason: str
    approved_by: str = ""
    slos: str = EVERYTHING
    slices: str = EVERYTHING
    models: str = EVERYTHING

    def covers(self, slo: str, slice_name: str, model: str) -> bool:
        """Whether the exclusion speaks of this SLO of this slice and model."""
        return matches(self.slos, slo) and matches(self.slices, slice_name) and matches(self.models, model)


def exclusion_of(
    exclusions: Iterable[Exclusion], window: Window, *, slo: str, slice_name: str, model: str
) -> Exclusion | None:
    """Return the exclusion that a window falls under, the one that ends last; None if its verdict counts.

    A window falls under an exclusion when it shares any time with it: a 24-hour window still rests on excluded events
    for a day after the maintenance, and would breach because of them.
    """
    found = [e for e in exclusions if e.span.overlaps(window) and e.covers(slo, slice_name, model)]
    return max(found, key=lambda e: e.span.end, default=None)
