"""Weigh the evidence of an SLO in evidence mode: bring its detectors and measurements up to date with the snapshots.

The evidence at a window end is a function of all panes up to there. Each end is therefore named by a chain of digests,
checkpoints of the state are kept, and what follows a pane that has changed is taken again from the last checkpoint
before it: days in one go, minute by minute, after a crash or after late labels, it comes to the same.
"""

import json
import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from hashlib import sha256
from itertools import groupby
from typing import Final

from duckdb import DuckDBPyConnection

from calslo_dagster.errors import SnapshotError
from calslo_dagster.pipeline.advance_watches import Course, Stretch, advance_watches
from calslo_dagster.pipeline.context import Context
from calslo_dagster.pipeline.digest_panes import digest_panes
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.pipeline.store_measurements import store_measurements
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.model import SLO, Cadence, Measurement
from calslo_dagster.slo.standing import Record
from calslo_dagster.slo.trials import Certain, Mode
from calslo_dagster.slo.watch import Fleet
from calslo_dagster.slo.watch_states import dumped, loaded
from calslo_dagster.slo.windows import DAY, EPOCH, Window, day_of, day_span, is_final, open_end, window_ends
from calslo_dagster.store import detector_states, evaluations, partials
from calslo_dagster.store.detector_states import Checkpoint

logger = logging.getLogger("calslo_dagster.evidence")

# Panes older than this may have been rolled up, so no detector could go through them again.
LONGEST_MEMORY: Final = timedelta(days=35)
# So many panes of slices are gone through at a time, which takes some 200 MB where all scores differ.
MOST_PANES: Final = 96 * 100

Weighed = tuple[Mapping[datetime, str], list[Measurement]]


@dataclass(frozen=True, slots=True)
class Chain:
    """Consecutive window ends: `links` names all that the evidence at each rests on, `inputs` its measurements too."""

    links: Mapping[datetime, str]
    inputs: Mapping[datetime, str]


def is_weighed(slo: SLO) -> bool:
    """Whether measurements of the SLO rest on evidence that adds up over time."""
    return slo.mode is Mode.EVIDENCE and slo.cadence is Cadence.MINUTE and not isinstance(slo.trial, Certain)


def weigh_evidence(
    context: Context, connection: DuckDBPyConnection, days: Sequence[date], *, recompute: bool
) -> Iterator[Weighed]:
    """Measure the SLO at the window ends of these days that rest on something else than before, and store that.

    Whatever follows them is measured again, too. Yields, part by part, what the ends that were due rest on, and rows.
    """
    span = Window(day_span(min(days)).start, min(day_span(max(days)).end, open_end(context.now, context.step)))
    base, known = _course(context, until=span.start), max(span.end, _last_known(context) or span.end)
    chain = _chain(context, connection, base, known)
    start = _first_due(context, chain, span, recompute=recompute)
    if start is None:
        return
    nearer = _course(context, until=start - context.step)
    if nearer.end is not None and chain.links.get(nearer.end) == nearer.digest:
        base = nearer
    # What follows is right already if it rests on the same, and then its checkpoints are.
    until = span.end if _holds_after(context, chain, span.end) else known
    yield from _advanced(context, connection, base, Window(start - context.step, until))


def _holds_after(context: Context, chain: Chain, end: datetime) -> bool:
    """Whether the evidence after a window end was taken from what is there now."""
    slo = context.slo.name
    with context.project.store.read() as session:
        later = next((one for one in detector_states.ends(session, slo) if one > end), None)
        if later is not None:
            checkpoint = detector_states.last(session, slo, until=later)
            return checkpoint is not None and chain.links.get(later) == checkpoint.digest
        stored = evaluations.between(session, slo, start=end, end=max(chain.inputs, default=end))
    return all(chain.inputs.get(one) == digest for one, digest in stored.items())


def evidence_over(
    context: Context, connection: DuckDBPyConnection, span: Window, *, alarmed_only: bool = False
) -> Iterator[Measurement]:
    """Yield the measurements at the window ends in (start, end] with evidence from the snapshots alone.

    It begins with the first pane that there is; nothing is read from the store but the list of snapshots, and nothing
    is written. alarmed_only: of slices with an alarm that counts.
    """
    course = Course()
    ends = _ends(context, connection, _cold_start(context, span.start), span.end)
    for part in _parts(context, ends):
        course, rows = advance_watches(Stretch.over(context, connection, part), course, alarmed_only=alarmed_only)
        yield from (row for row in rows if row.window_end > span.start)


def _first_due(context: Context, chain: Chain, span: Window, *, recompute: bool) -> datetime | None:
    """Return the first window end in the span whose measurement, if there is one, rests on something else."""
    due = [end for end in chain.inputs if span.start < end <= span.end]
    with context.project.store.read() as session:
        stored = evaluations.between(session, context.slo.name, start=span.start, end=span.end)
    return next((end for end in due if recompute or stored.get(end) != chain.inputs[end]), None)


def _advanced(context: Context, connection: DuckDBPyConnection, course: Course, due: Window) -> Iterator[Weighed]:
    """Go on from the course to the end of what is due, storing it part by part."""
    chain = _chain(context, connection, course, due.end)
    for ends in _parts(context, chain.links, course.fleet.slices):
        course, rows = advance_watches(Stretch.over(context, connection, ends), course)
        course = replace(course, digest=chain.links[ends[-1]])
        inputs = {end: chain.inputs[end] for end in ends if end > due.start}
        taken = [row for row in rows if row.window_end > due.start]
        _store(context, course, inputs, taken, span=Window(ends[0] - context.step, due.end))
        yield inputs, taken


def _parts(context: Context, ends: Iterable[datetime], slices: int = 1) -> Iterator[list[datetime]]:
    """Yield the ends in order, in parts of one day each, what is final apart, none too long for the memory."""
    most = max(1, MOST_PANES // slices)
    for _, group in groupby(ends, key=lambda end: (day_of(end), is_final(end, context.watermark))):
        part = list(group)
        yield from (part[i : i + most] for i in range(0, len(part), most))


def _chain(context: Context, connection: DuckDBPyConnection, course: Course, until: datetime) -> Chain:
    """Return the chain from after the course to `until`."""
    start = course.end or _cold_start(context, until)
    ends, links, inputs = _ends(context, connection, start, until), dict[datetime, str](), dict[datetime, str]()
    if not ends:
        return Chain(links, inputs)
    reach = context.maturity + max(DAY, context.slo.window)
    snapshots = snapshots_over(context.project, connection, Window(start - reach, until))
    panes = digest_panes(snapshots, with_labels="label" in context.slo.needs)
    link = course.digest or panes.facts_of(Window(start - reach, start - context.maturity))
    for end in ends:
        pane = Window(end - context.maturity - context.step, end - context.maturity)
        parts = (link, panes.facts_of(pane), _excluded(context, pane))
        links[end] = link = sha256(repr(parts).encode()).hexdigest()
        inputs[end] = context.rested_on(panes, end, link)
    return Chain(links, inputs)


def _excluded(context: Context, pane: Window) -> list[Exclusion]:
    return [one for one in context.exclusions if one.span.overlaps(pane)]


def _ends(context: Context, connection: DuckDBPyConnection, start: datetime, until: datetime) -> list[datetime]:
    """Return the window ends in (start, until] that the snapshots are fine enough for."""
    ends = window_ends(start, until, context.step)
    if not ends:
        return []
    reach = context.maturity + max(DAY, context.slo.window) + context.step
    snapshots = snapshots_over(context.project, connection, Window(ends[0] - reach, until))
    return [end for end in ends if context.is_measurable(snapshots, end)]


def _cold_start(context: Context, until: datetime) -> datetime:
    """Return the begin of the day of the first snapshot, from where evidence adds up if there is no checkpoint."""
    with context.project.store.read() as session:
        first = partials.first_start(session, context.project.source_names)
    earliest = until - LONGEST_MEMORY if first is None else EPOCH + timedelta(microseconds=first)
    return day_span(max(earliest, until - LONGEST_MEMORY).date()).start


def _course(context: Context, *, until: datetime) -> Course:
    """Return the evidence at the last checkpoint by `until`; none if there is no checkpoint that can be read."""
    with context.project.store.read() as session:
        found = detector_states.last(session, context.slo.name, until=until)
    if found is None:
        return Course()
    try:
        states, head = {name: loaded(state) for name, state in found.slices.items()}, json.loads(found.fleet)
    except (SnapshotError, json.JSONDecodeError) as error:
        # Of another release: all that it knew is in the snapshots.
        logger.warning("%s: the evidence up to %s begins anew: %s", context.slo.name, found.window_end, error)
        return Course()
    fleet = Fleet({name: watch for name, (watch, _) in states.items()}, head["slices"], head["definition"])
    return Course(found.window_end, fleet, {name: record for name, (_, record) in states.items()}, found.digest)


def _last_known(context: Context) -> datetime | None:
    with context.project.store.read() as session:
        return evaluations.last_end(session, context.slo.name, until=open_end(context.now, context.step))


def _store(
    context: Context, course: Course, inputs: Mapping[datetime, str], rows: Sequence[Measurement], *, span: Window
) -> None:
    """Store the measurements, and the evidence if its last end is final.

    The checkpoints in the span rest on it and are forgotten, so that a run that is killed leaves none that is wrong.
    """
    slo, end = context.slo.name, course.end
    with context.project.store.write() as session:
        store_measurements(session, context, inputs, rows)
        detector_states.forget_between(session, slo, start=span.start, end=span.end)
        if end is None or not is_final(end, context.watermark):
            return
        detector_states.put(session, _checkpoint(context, course, end))
        old = context.now - LONGEST_MEMORY
        passed = [one for one in detector_states.ends(session, slo) if one != end]
        detector_states.forget(session, slo, [one for one in passed if one < old or not _ends_day(one)])


def _ends_day(end: datetime) -> bool:
    return end.hour == end.minute == 0


def _checkpoint(context: Context, course: Course, end: datetime) -> Checkpoint:
    fleet, empty = course.fleet, Record()
    states = {name: dumped(watch, course.records.get(name, empty)) for name, watch in fleet.watches.items()}
    head = json.dumps({"slices": fleet.slices, "definition": fleet.definition}, sort_keys=True)
    return Checkpoint(context.slo.name, end, course.digest, head.encode(), states)
