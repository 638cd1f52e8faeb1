"""Opens DuckDB with every setting that results or resources depend on named."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """What the engine may use.

    memory_limit: as DuckDB reads it (`512MB`, `2GB`); work beyond it spills to `temp_directory`, which is also where
    each aggregate pass stages its rows, so it needs room for about one uncompressed copy of them.
    """

    threads: int = 2
    memory_limit: str = "360MB"
    temp_directory: Path | None = None

    def __post_init__(self) -> None:
        """Refuse a number of threads that DuckDB would refuse later and less clearly."""
        if self.threads < 1:
            raise ValueError(f"threads must be at least 1, got {self.threads}")


def connect(settings: EngineSettings | None = None) -> "duckdb.DuckDBPyConnection":
    """Return a new in-memory database; nothing it does reaches the network or depends on the machine's time zone."""
    settings = settings or EngineSettings()
    config: dict[str, str | bool | int | float | list[str]] = {
        "threads": settings.threads,
        "memory_limit": settings.memory_limit,
        "preserve_insertion_order": False,
        "default_null_order": "nulls_last",
        "autoinstall_known_extensions": False,
        # Parquet statistics leave NaN out, from which DuckDB 2.0 concludes that a score which is NaN cannot be one.
        # They also decide whether it writes a column as nullable, so that equal facts would be other bytes.
        "disabled_optimizers": "statistics_propagation",
    }
    if settings.temp_directory is not None:
        settings.temp_directory.mkdir(parents=True, exist_ok=True)
        config["temp_directory"] = str(settings.temp_directory)
    import duckdb  # noqa: PLC0415 - settings need no engine

    connection = duckdb.connect(":memory:", config=config)
    connection.execute("SET TimeZone = 'UTC'").fetchall()
    return connection
