"""One calibration error of a million events: by libraries that hold all scores, and from a snapshot."""

from collections.abc import Callable, Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import numpy as np
import pytest
import torch
from netcal.metrics import ECE
from numpy.typing import NDArray
from sklearn.calibration import calibration_curve
from torchmetrics.functional.classification import binary_calibration_error

from benchmarks import logs
from benchmarks.meter import Meter
from calslo_dagster.engine import read
from calslo_dagster.engine.aggregate import AggregateSpec, aggregate
from calslo_dagster.engine.connect import EngineSettings, connect
from calslo_dagster.sources import open_source
from calslo_dagster.stats.ece import equal_mass_ece, equal_width_ece
from calslo_dagster.stats.snapshot import Snapshot

BINS: Final = 15
# torchmetrics works in single precision.
TOLERANCE: Final = 1e-5
Sample = tuple[NDArray[np.float64], NDArray[np.int64]]


@pytest.fixture(scope="module")
def partial() -> Iterator[Path]:
    """Yield the snapshots of a day of a million events."""
    found = logs.log(logs.LogSpec(1_000_000))
    source, spec = open_source(found.source()), AggregateSpec(logs.SLICE_COLUMNS, deduplicate=False)
    with TemporaryDirectory() as folder, connect(EngineSettings(temp_directory=Path(folder, "spill"))) as connection:
        out = Path(folder, "partial")
        aggregate(connection, source.relation(connection, source.units()), spec, None, out=out)
        yield out


@pytest.fixture(scope="module")
def snapshot(partial: Path) -> Snapshot:
    """Return all events of that day as one snapshot."""
    with connect() as connection:
        return read.window(connection, [partial], None, None, views=[()])[(), ()]


@pytest.fixture(scope="module")
def sample() -> Sample:
    """Return scores and labels of the same events in memory."""
    rows = logs.log(logs.LogSpec(1_000_000)).parquet
    with connect() as connection:
        found = connection.execute(
            f"SELECT score, label::BIGINT AS label FROM {rows} WHERE score BETWEEN 0 AND 1 AND label IS NOT NULL"
        ).fetchnumpy()
    return np.asarray(found["score"]), np.asarray(found["label"])


def by_numpy(p: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Return the ECE by three bincounts, the least that can be done with arrays."""
    bins = np.minimum((p * BINS).astype(np.int64), BINS - 1)
    return float(np.abs(np.bincount(bins, p, BINS) - np.bincount(bins, y, BINS)).sum() / p.size)


def by_sklearn(p: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Return the ECE from a calibration curve, which lacks the sizes of its bins."""
    observed, predicted = calibration_curve(y, p, n_bins=BINS)
    sizes = np.histogram(p, BINS, (0, 1))[0]
    return float(np.abs(observed - predicted) @ sizes[sizes > 0] / p.size)


def by_netcal(p: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Return the ECE of netcal."""
    return float(ECE(BINS).measure(p, y))


def by_torchmetrics(p: NDArray[np.float64], y: NDArray[np.int64]) -> float:
    """Return the ECE of torchmetrics."""
    return float(binary_calibration_error(torch.from_numpy(p), torch.from_numpy(y), n_bins=BINS))


Library = Callable[[NDArray[np.float64], NDArray[np.int64]], float]


@pytest.mark.parametrize("library", [by_numpy, by_sklearn, by_netcal, by_torchmetrics], ids=lambda f: f.__name__[3:])
def test_ece_by(meter: Meter, sample: Sample, snapshot: Snapshot, library: Library) -> None:
    """All scores in memory, one equal-width ECE of 15 bins; it is that of the snapshot."""
    p, y = sample
    found = meter(lambda: library(p, y), against={"bincount": lambda: by_numpy(p, y)}, rounds=3, events=p.size)
    assert found == pytest.approx(equal_width_ece(snapshot, BINS).value, abs=TOLERANCE)


def test_ece_of_a_snapshot(meter: Meter, sample: Sample, snapshot: Snapshot) -> None:
    """The same from sums, with its interval."""
    meter(lambda: equal_width_ece(snapshot, BINS), against={"bincount": lambda: by_numpy(*sample)}, rounds=20)


def test_equal_mass_ece_of_a_snapshot(meter: Meter, sample: Sample, snapshot: Snapshot) -> None:
    """The one that the SLO takes."""
    meter(lambda: equal_mass_ece(snapshot, BINS), against={"bincount": lambda: by_numpy(*sample)}, rounds=20)


def test_ece_of_24_slices_from_disk(meter: Meter, partial: Path) -> None:
    """The facts of a day read from disk, then the ECE of everything and of each slice."""
    with connect() as connection:

        def measured() -> list[float | None]:
            found = read.window(connection, [partial], None, None, slice_columns=logs.SLICE_COLUMNS)
            return [equal_mass_ece(one, BINS).value for one in found.values()]

        assert len(meter(measured, rounds=3)) == 25
