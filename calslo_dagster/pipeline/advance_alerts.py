"""Queue what has to be announced about breaches, each occasion once."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Final

from calslo_dagster.alerting.announce import Announcement, Breach, Occasion, due, retractions
from calslo_dagster.alerting.message import text
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import breaches, outbox
from calslo_dagster.store.outbox import NewMessage

# A breach that ended longer ago was found by backfilling history; that is a report, not news.
NEWS: Final = timedelta(days=7)


def advance_alerts(project: Project, *, now: datetime, news: timedelta = NEWS) -> int:
    """Write announcements of new breach starts, ends and retractions into the outbox; return how many are new."""
    with project.store.write() as session:
        found = [_announced_as(b) for b in breaches.between(session, start=now - news, end=now + timedelta(days=1))]
        keys = outbox.keys(session)
        told = due(found, keys)
        started = [_from_payload(m.payload) for m in outbox.of_kind(session, Occasion.STARTED, since=now - news)]
        told += retractions(started, breaches.ids(session), keys)
        return outbox.add(session, _messages(told, now))


def _messages(told: Iterable[Announcement], now: datetime) -> list[NewMessage]:
    return [
        NewMessage(one.key, one.occasion, {"text": text(one), "breach": _to_payload(one.breach)}, now) for one in told
    ]


def _announced_as(stored: breaches.Breach) -> Breach:
    threshold = stored.threshold if isinstance(stored.threshold, float) else None
    return Breach(
        id=stored.id,
        slo=stored.slo,
        slice=stored.slice,
        model=stored.model,
        onset=stored.onset,
        recovered_at=stored.recovered_at,
        peak_value=stored.peak_value,
        threshold=threshold,
        reason=stored.reason,
    )


def _to_payload(breach: Breach) -> dict[str, Any]:
    times = {"onset": breach.onset.isoformat(), "recovered_at": breach.recovered_at and breach.recovered_at.isoformat()}
    plain = {
        name: getattr(breach, name) for name in ("id", "slo", "slice", "model", "peak_value", "threshold", "reason")
    }
    return {**plain, **times}


def _from_payload(payload: Any) -> Breach:
    fields = dict(payload["breach"])
    recovered = fields.pop("recovered_at")
    return Breach(
        **{**fields, "onset": datetime.fromisoformat(fields["onset"])},
        recovered_at=datetime.fromisoformat(recovered) if recovered else None,
    )
