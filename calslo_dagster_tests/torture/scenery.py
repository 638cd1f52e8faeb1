"""What is wrong in these tests: breaches as the fold of the verdicts leaves them."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from calslo_dagster.store.breaches import Breach

SLO: Final = "score_range"
# Before anything that a test may do.
ALWAYS: Final = datetime(2000, 1, 1, tzinfo=UTC)
_BREACH: Final = Breach(
    id="",
    slo=SLO,
    slice="*",
    model="",
    onset=ALWAYS,
    opened_at=ALWAYS,
    last_bad_at=ALWAYS,
    recovered_at=None,
    closed_at=None,
    peak_value=0.5,
    peak_excess=0.25,
    peak_at=None,
    threshold=0.4,
    windows_bad=1,
    windows_met=0,
    windows_unknown=0,
    windows_excluded=0,
    is_provisional=False,
    reason="0.5 is above 0.4",
)


def breach(slice_name: str, at: datetime, **changes: Any) -> Breach:
    """Return a breach of the slice that opens now and goes on."""
    made = replace(_BREACH, id=f"{slice_name} {at.timestamp():.6f}", slice=slice_name)
    return replace(made, **{"onset": at, "opened_at": at, "last_bad_at": at, "peak_at": at, **changes})
