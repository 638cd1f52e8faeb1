"""Decide which event partials a span of one log should have, and write those that are missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from calslo_dagster.engine.facts import HOUR_US
from calslo_dagster.engine.inputs import Input, read_inputs
from calslo_dagster.pipeline.compose_span import AS_IT_IS, Composition, compose, plain, with_lost
from calslo_dagster.pipeline.refresh_units import Units
from calslo_dagster.pipeline.spans import inputs_digest
from calslo_dagster.pipeline.trace_units import Known
from calslo_dagster.pipeline.write_partials import PartialWriter
from calslo_dagster.sources.base import Span
from calslo_dagster.store.partials import KEPT, Partial


@dataclass(frozen=True)
class EventPlan:
    """The events of one span; `listed` are its event partials in force, by batch."""

    writer: PartialWriter
    events: Units
    span: Span
    listed: Mapping[str, Partial]

    @property
    def live(self) -> Partial | None:
        """The partial of what could be read when it was made."""
        return self.listed.get("")

    @property
    def kept(self) -> Partial | None:
        """The partial of what was lost before that."""
        return self.listed.get(KEPT)

    @property
    def digest(self) -> str:
        """What the events that can be read are made of; empty if there are none.

        Where files are missing and nothing else changed it stays, whatever the settings say now: what is gone cannot be
        read in another way.
        """
        if self.live and self.composition.holds_lost:
            return self.live.inputs_digest
        return self._digest_of(self.composition.named)

    @property
    def is_stale(self) -> bool:
        """Whether the log now says something else than the partials."""
        return self.digest != (self.live.inputs_digest if self.live else "")

    @cached_property
    def composition(self) -> Composition:
        """What the span consists of."""
        if self.kept is None and (self.live is None or not self._loses()):
            return plain(self.events, self.span)
        before = self._digest_of(with_lost(self.events, self.span))
        if self.kept is None and self.live and self.live.inputs_digest == before:
            return AS_IT_IS
        live, kept = self._inputs(self.live), self._inputs(self.kept)
        if live is None or kept is None:
            # Of a partial that does not tell what it was made of nothing can be taken out, so it stays as it is.
            return AS_IT_IS
        is_coarse = self.live is not None and max(self.live.totals_us, self.live.cells_us) > HOUR_US
        return compose(self.events, self.span, live=live, kept=kept, is_coarse=is_coarse)

    def wanted(self, *, recompute: bool) -> list[Partial]:
        """Return the event partials that the span should have; missing ones are written, the others are as listed."""
        found, live, kept = self.composition, self.live, self.kept
        if live and (found.holds_lost or not (recompute or self.is_stale)):
            return [live, *([kept] if kept else [])]
        if found.thaws:
            kept = None
        if live and found.freezes:
            kept = self.writer.kept(self.span, found.freezes, live=live, kept=kept)
        fresh = [self.writer.events(self.span, found, digest=self.digest, kept=kept)] if found.named else []
        return [*fresh, *([kept] if kept else [])]

    def _loses(self) -> bool:
        start, end = self.span
        return any(start <= hour < end for record in self.events.lost for hour in record.hours)

    def _inputs(self, partial: Partial | None) -> tuple[Input, ...] | None:
        return read_inputs(self.writer.project.partials / partial.path) if partial else ()

    def _digest_of(self, named: Sequence[Known]) -> str:
        reading = self.writer.project.reading_digest(self.writer.log)
        return inputs_digest(reading, self.span, named) if named else ""
