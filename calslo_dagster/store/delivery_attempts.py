"""What each attempt to deliver a message met; rows are only ever added."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import delivery_attempts

OK: Final = "ok"
LOST: Final = "lost"


@dataclass(frozen=True, slots=True)
class Attempt:
    """The n-th attempt of a delivery, by the worker that held it under this token.

    result: `ok`, `lost` if the worker never said what became of it, else the word of the failure.
    """

    delivery_id: int
    n: int
    worker: str
    started_at: datetime | None
    ended_at: datetime
    result: str
    retry_after: timedelta | None = None
    detail: str = ""


def add(session: Session, attempts: Iterable[Attempt]) -> None:
    """Put the attempts on record; one that is there already stays as it is."""
    stored.insert_new(session, delivery_attempts, [_record(attempt) for attempt in attempts])


def of_deliveries(session: Session, delivery_ids: Iterable[int]) -> tuple[Attempt, ...]:
    """Return the attempts of these deliveries, in order."""
    table = delivery_attempts.c
    wanted = sa.select(delivery_attempts).where(table.delivery_id.in_(list(delivery_ids)))
    return tuple(_attempt(row) for row in session.execute(wanted.order_by(table.delivery_id, table.n)))


def _record(attempt: Attempt) -> dict[str, Any]:
    return {
        "delivery_id": attempt.delivery_id,
        "n": attempt.n,
        "worker": attempt.worker,
        "started_at": attempt.started_at,
        "ended_at": attempt.ended_at,
        "result": attempt.result,
        "retry_after_seconds": attempt.retry_after.total_seconds() if attempt.retry_after else None,
        "detail": attempt.detail,
    }


def _attempt(row: sa.Row[Any]) -> Attempt:
    wait = None if row.retry_after_seconds is None else timedelta(seconds=row.retry_after_seconds)
    return Attempt(
        delivery_id=row.delivery_id,
        n=row.n,
        worker=row.worker,
        started_at=row.started_at,
        ended_at=row.ended_at,
        result=row.result,
        retry_after=wait,
        detail=row.detail or "",
    )
