"""Detector states: the evidence of SLOs in evidence mode after a window end, from which it goes on."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import detector_states

# The row of the fleet itself; no slice has an empty name.
FLEET = ""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of all slices of an SLO after a window end.

    digest: what identifies all panes that it rests on; fleet: what the slices have in common; slices: state by slice.
    """

    slo: str
    window_end: datetime
    digest: str
    fleet: bytes
    slices: Mapping[str, bytes]


def put(session: Session, checkpoint: Checkpoint) -> None:
    """Record the checkpoint in place of one at the same window end."""
    table = detector_states.c
    same = (table.slo == checkpoint.slo, table.window_end == checkpoint.window_end)
    session.execute(sa.delete(detector_states).where(*same))
    head = {"slo": checkpoint.slo, "window_end": checkpoint.window_end, "digest": checkpoint.digest}
    states = {FLEET: checkpoint.fleet, **checkpoint.slices}
    stored.insert(session, detector_states, [head | {"slice": name, "state": state} for name, state in states.items()])


def last(session: Session, slo: str, *, until: datetime) -> Checkpoint | None:
    """Return the last checkpoint of the SLO at or before `until`; None if there is none."""
    table = detector_states.c
    end = session.scalar(sa.select(sa.func.max(table.window_end)).where(table.slo == slo, table.window_end <= until))
    if end is None:
        return None
    found = session.execute(
        sa.select(table.slice, table.digest, table.state).where(table.slo == slo, table.window_end == end)
    ).all()
    states = {row.slice: bytes(row.state) for row in found}
    return Checkpoint(slo, end, found[0].digest, states.pop(FLEET), states)


def ends(session: Session, slo: str) -> tuple[datetime, ...]:
    """Return the window ends of the SLO's checkpoints, ascending."""
    table = detector_states.c
    wanted = sa.select(table.window_end).where(table.slo == slo, table.slice == FLEET)
    return tuple(session.scalars(wanted.order_by(table.window_end)))


def forget(session: Session, slo: str, found: Iterable[datetime]) -> None:
    """Remove the SLO's checkpoints at these window ends."""
    table = detector_states.c
    for end in found:
        session.execute(sa.delete(detector_states).where(table.slo == slo, table.window_end == end))


def forget_between(session: Session, slo: str, *, start: datetime, end: datetime) -> None:
    """Remove the SLO's checkpoints at window ends in (start, end]."""
    table = detector_states.c
    outdated = (table.slo == slo, table.window_end > start, table.window_end <= end)
    session.execute(sa.delete(detector_states).where(*outdated))
