"""A backtest as JSON values, in the shape that docs/backtest.md promises."""

import math
from datetime import datetime
from typing import Any

from calslo_dagster.alerting.playback import Page
from calslo_dagster.pipeline.compare_courses import (
    BreachPair,
    Comparison,
    Seen,
    SliceComparison,
    SloComparison,
    Stand,
    summary,
    told,
)
from calslo_dagster.slo.model import Bound, Verdict


def body(found: Comparison, name: str) -> dict[str, Any]:
    """Return all of it; `name` is what the new settings are called."""
    return {
        "from": _time(found.start),
        "to": _time(found.end),
        "differs": found.differs,
        "summary": summary(found, name),
        "notes": list(found.notes),
        "pages": {
            "now": {"told": told(found.pages_now), "incidents": [_page(one) for one in found.pages_now]},
            "new": {"told": told(found.pages_new), "incidents": [_page(one) for one in found.pages_new]},
        },
        "slos": [_slo(one) for one in found.slos],
    }


def _page(page: Page) -> dict[str, Any]:
    return {
        "kind": page.kind,
        "slo": page.slo,
        "model": page.model,
        "slices": list(page.slices),
        "severity": page.severity.value,
        "opened_at": _time(page.opened_at),
        "told_at": _time(page.told_at),
        "resolved_at": _time(page.resolved_at),
        "held": page.held,
    }


def _slo(one: SloComparison) -> dict[str, Any]:
    return {
        "slo": one.slo,
        "edit": one.edit.value,
        "fields": list(one.fields),
        "differs": one.differs,
        "slices": [_slice(slice_) for slice_ in one.slices],
    }


def _slice(one: SliceComparison) -> dict[str, Any]:
    return {
        "slice": one.slice,
        "differs": one.differs,
        "now": _stand(one.now),
        "new": _stand(one.new),
        "changed_windows": one.windows,
        "changes": [
            {
                "from": shift.before and shift.before.value,
                "to": shift.after and shift.after.value,
                "first": _time(shift.first),
                "last": _time(shift.last),
                "windows": shift.windows,
            }
            for shift in one.shifts
        ],
        "breaches": [_pair(pair) for pair in one.breaches],
    }


def _stand(stand: Stand | None) -> dict[str, Any] | None:
    if stand is None:
        return None
    tally, left = stand.tally, stand.budget
    return {
        "verdicts": {verdict.value: stand.verdicts.get(verdict, 0) for verdict in Verdict},
        "availability": tally.observed,
        "availability_low": tally.low,
        "availability_high": tally.high,
        "target": stand.target,
        "promise": left.promise.value,
        "budget": {"allowed": left.allowed, "used": left.used, "left": left.left, "unknown": left.unknown},
    }


def _pair(pair: BreachPair) -> dict[str, Any]:
    return {"match": pair.match.value, "now": _seen(pair.now), "new": _seen(pair.new)}


def _seen(seen: Seen | None) -> dict[str, Any] | None:
    if seen is None:
        return None
    one = seen.episode
    return {
        "onset": _time(one.onset),
        "opened_at": _time(one.opened_at),
        "recovered_at": _time(one.recovery),
        "peak": one.peak if one.peak is not None and math.isfinite(one.peak) else None,
        "peak_at": _time(one.peak_at),
        "limit": _bound(seen.limit),
        "windows": one.counts.breached,
    }


def _bound(limit: Bound | None) -> Any:
    return list(limit) if isinstance(limit, tuple) else limit


def _time(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None
