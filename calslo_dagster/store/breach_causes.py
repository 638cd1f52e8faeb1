"""The causes of breaches, ranked; each list with the basis that it was computed from."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.slo.causes import Cause, CauseKind
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import breach_causes, breaches


def replace(session: Session, breach_id: str, causes: Sequence[Cause], *, basis: str, at: datetime) -> None:
    """Make these the causes of the breach, the first one first."""
    session.execute(sa.delete(breach_causes).where(breach_causes.c.breach_id == breach_id))
    found = [
        {
            "breach_id": breach_id,
            "rank": rank,
            "kind": cause.kind.value,
            "score": cause.score,
            "evidence": cause.evidence,
            "advice": cause.advice,
            "basis": basis,
            "found_at": at,
        }
        for rank, cause in enumerate(causes, start=1)
    ]
    stored.insert(session, breach_causes, found)


def of(session: Session, breach_id: str) -> tuple[Cause, ...]:
    """Return the causes of the breach, the first one first; none while it has not been explained."""
    wanted = sa.select(breach_causes).where(breach_causes.c.breach_id == breach_id).order_by(breach_causes.c.rank)
    return tuple(_cause(row._mapping) for row in session.execute(wanted))


def first(session: Session, breach_ids: Iterable[str], *, until: datetime | None = None) -> Mapping[str, Cause]:
    """Return the first cause of each of these breaches that has been explained, by this instant if one is named."""
    found: dict[str, Cause] = {}
    for some in stored.chunks(breach_ids):
        wanted = sa.select(breach_causes).where(breach_causes.c.breach_id.in_(some), breach_causes.c.rank == 1)
        wanted = wanted if until is None else wanted.where(breach_causes.c.found_at <= until)
        found |= {row.breach_id: _cause(row._mapping) for row in session.execute(wanted)}
    return found


def bases(session: Session, breach_ids: Collection[str]) -> Mapping[str, str]:
    """Return, for each of these breaches that has been explained, what it was explained from."""
    found: dict[str, str] = {}
    for some in stored.chunks(breach_ids):
        wanted = sa.select(breach_causes.c.breach_id, breach_causes.c.basis).where(
            breach_causes.c.breach_id.in_(some), breach_causes.c.rank == 1
        )
        found |= {row.breach_id: row.basis for row in session.execute(wanted)}
    return found


def forget_withdrawn(session: Session) -> int:
    """Delete the causes of breaches that no longer stand; return how many rows that were."""
    gone = breach_causes.c.breach_id.not_in(sa.select(breaches.c.id))
    return session.connection().execute(sa.delete(breach_causes).where(gone)).rowcount


def _cause(row: Mapping[Any, Any]) -> Cause:
    return Cause(CauseKind(row["kind"]), row["score"], row["evidence"], row["advice"])
