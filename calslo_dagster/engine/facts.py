"""The facts one aggregate pass yields: their tables, keys and sums.

Every fact row is keyed by `t` (start of its bucket, microseconds since 1970 UTC, BIGINT), the slice columns (VARCHAR,
null for a missing value) and `version` (calibrator version, VARCHAR, empty when the log has none).
"""

from dataclasses import dataclass
from typing import Final

from calslo_dagster.stats.snapshot import CELL_SUMS, TOTAL_SUMS

MINUTE_US: Final = 60_000_000
PANE_US: Final = 15 * MINUTE_US
HOUR_US: Final = 60 * MINUTE_US
DAY_US: Final = 24 * HOUR_US


@dataclass(frozen=True, slots=True)
class Fact:
    """One fact table: `keys` follow t, slices and version; `sums` are added when partials merge."""

    name: str
    keys: tuple[str, ...]
    sums: tuple[str, ...]
    resolution_us: int
    firsts: tuple[str, ...] = ()
    lasts: tuple[str, ...] = ()


TOTALS: Final = Fact("totals", (), TOTAL_SUMS, MINUTE_US, firsts=("first_us",), lasts=("last_us",))
CELLS: Final = Fact("cells", ("bin",), CELL_SUMS, PANE_US)
LATENCY: Final = Fact("latency", ("bucket",), ("n",), PANE_US)
MASKS: Final = Fact("masks", ("mask_id",), ("n",), PANE_US)
FACTS: Final = (TOTALS, CELLS, LATENCY, MASKS)
# Labels that a batch has given to events, each with the event as it was counted, so that it can be taken back.
LEDGER: Final = "ledger"
# Unlabelled events with an id, waiting for their label; dropped after the label horizon.
PENDING: Final = "pending"
PENDING_COLUMNS: Final = ("prediction_id", "event_us", "version", "bin", "score", "weight")
LEDGER_COLUMNS: Final = (*PENDING_COLUMNS, "label", "label_us")
