"""Checkpoints of the breach fold: where it stood before the first window of a day."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.breach import BreachState
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import breach_states


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of the fold of one SLO and slice before the first window of `day`."""

    slo: str
    slice: str
    day: date
    state: BreachState


def put(session: Session, found: Iterable[Checkpoint]) -> None:
    """Record the checkpoints."""
    records = [{"slo": c.slo, "slice": c.slice, "day": c.day, "state": c.state.to_json()} for c in found]
    stored.upsert(session, breach_states, records)


def at_day(session: Session, slo: str, day: date) -> dict[str, BreachState]:
    """Return the state of each slice of the SLO before the day: its last checkpoint on that day or earlier."""
    table = breach_states.c
    last = (
        sa.select(table.slice, sa.func.max(table.day).label("day"))
        .where(table.slo == slo, table.day <= day)
        .group_by(table.slice)
        .subquery()
    )
    same = sa.and_(table.slo == slo, table.slice == last.c.slice, table.day == last.c.day)
    found = session.execute(sa.select(table.slice, table.state).join(last, same).order_by(table.slice))
    return {name: BreachState.from_json(state) for name, state in found}


def forget(session: Session, slo: str, *, after: date | None = None, before: date | None = None) -> None:
    """Remove the SLO's checkpoints of days after `after` and of days before `before`; all of them with neither.

    Those after a changed day are wrong; those far back are not needed any more.
    """
    outside = [breach_states.c.day > after] if after else []
    outside += [breach_states.c.day < before] if before else []
    wanted = sa.delete(breach_states).where(breach_states.c.slo == slo)
    session.execute(wanted.where(sa.or_(*outside)) if outside else wanted)
