"""What the options of `calslo evaluate` may say."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

WINDOWS: Final = {
    "all": None,
    "15m": timedelta(minutes=15),
    "1h": timedelta(hours=1),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
}


@dataclass(frozen=True, slots=True)
class Options:
    """The options as they were given; None and empty for what was not."""

    paths: tuple[str, ...]
    time_column: str | None = None
    time_zone: str | None = None
    time_unit: str | None = None
    score_column: str | None = None
    label_column: str | None = None
    columns: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    window: str = "all"
    names: tuple[str, ...] = ()
    source: str | None = None
    input_format: str | None = None
