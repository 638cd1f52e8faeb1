"""What an event partial was made of, kept beside its facts: which content of which unit, hour by hour."""

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

INPUTS: Final = "inputs"
_SCHEMA: Final = pa.schema({"hour_us": pa.int64(), "unit": pa.string(), "content": pa.string(), "rows": pa.int64()})


@dataclass(frozen=True, slots=True, order=True)
class Input:
    """The rows of one hour that one unit brought, as it was then; `content` tells that state from all others."""

    hour_us: int
    unit: str
    content: str
    rows: int


def write_inputs(folder: Path, inputs: Iterable[Input]) -> None:
    """Write what the partial in the folder was made of; the same inputs give the same bytes."""
    columns = zip(*map(astuple, sorted(set(inputs))), strict=True)
    arrays = list(columns) or [()] * len(_SCHEMA)
    pq.write_table(pa.table([list(values) for values in arrays], schema=_SCHEMA), folder / f"{INPUTS}.parquet")


def read_inputs(folder: Path) -> tuple[Input, ...] | None:
    """Return what the partial in the folder was made of, None if that was not kept."""
    path = folder / f"{INPUTS}.parquet"
    if not path.exists():
        return None
    # The file by itself: read as a dataset, a folder called `a=b` somewhere above would become a column.
    columns = pq.ParquetFile(path).read().to_pydict()
    return tuple(Input(*values) for values in zip(*columns.values(), strict=True))


def merge_inputs(parts: Iterable[Path], out: Path) -> None:
    """Write into the folder `out` what the partials were made of together."""
    known = [inputs for part in parts if (inputs := read_inputs(part)) is not None]
    if known:
        write_inputs(out, (one for inputs in known for one in inputs))
