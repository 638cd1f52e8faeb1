"""Files are measured without state, by the same sums and the same SLOs; the exit code tells the worst of it."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster.errors import SourceError
from calslo_dagster.pipeline.evaluate_files import Evaluation, Request, evaluate_files, exit_code
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.slo.registry import builtin
from calslo_dagster.slo.slices import parse_slice
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster.sources.base import SourceSpec
from calslo_dagster_tests.logs import HOUR, LATER, START, aggregate, events, measure, traffic, windows, write
from calslo_dagster_tests.pipeline.courses import course

SLICES = {"intent": "intent", "language": "language"}


def evaluation(*paths: Path, names: tuple[str, ...] = ("score_range",), **changes: Any) -> Evaluation:
    source = SourceSpec(name="log", paths=tuple(map(str, paths)))
    slos = tuple(builtin().find(name) for name in names)
    return evaluate_files(Request(**{"source": source, "slos": slos, **changes}), now=LATER)


def verdicts(*found: Verdict) -> Evaluation:
    rows = tuple(replace(course("m")[0], verdict=verdict) for verdict in found)
    return Evaluation(rows, {}, {}, (), len(rows), None)


def by_slice(found: Evaluation) -> dict[str, Measurement]:
    return {row.slice: row for row in found.measurements}


@pytest.mark.parametrize(
    ("found", "code"),
    [
        (verdicts(Verdict.MEETING, Verdict.WARNING), 0),
        (verdicts(Verdict.MEETING, Verdict.BREACHED, Verdict.UNKNOWN), 1),
        (verdicts(Verdict.MEETING, Verdict.UNKNOWN), 3),
        (verdicts(Verdict.MEETING, Verdict.ERROR), 3),
        (verdicts(), 3),
        (replace(verdicts(Verdict.BREACHED), errors=("broken",)), 2),
    ],
)
def test_the_exit_code_tells_the_worst(found: Evaluation, code: int) -> None:
    assert exit_code(found) == code


def test_a_copy_of_a_file_counts_once_and_is_told(tmp_path: Path) -> None:
    """Also without prediction ids, by which copies of rows would be found."""
    path = write(tmp_path / "log/a.parquet", events([START, START + HOUR], prediction_id=None))
    (tmp_path / "log/b.parquet").write_bytes(path.read_bytes())

    found = evaluation(tmp_path / "log")

    assert found.copies == (
        f'{tmp_path}/log/b.parquet: holds the same as "a.parquet", so it is counted once; remove one of them',
    )
    assert (by_slice(found)["*"].events, found.rows, found.rejected) == (2, 4, {"duplicates": 2})
    assert (found.errors, exit_code(found)) == ((), 0)


def test_files_say_what_the_pipeline_says(project: Project, tmp_path: Path) -> None:
    path = write(tmp_path / "log/a.parquet", traffic(hours=3).log)
    aggregate(project, [START.date()])
    measure(project, "score_range", [START.date()])
    whole = windows(project, Window(START, START + 3 * HOUR))

    found = evaluation(path, slices=SLICES)

    assert {name: values["n"] for name, values in found.metrics.items()} == {n: s.events for n, s in whole.items()}
    assert found.whole == Window(START, START + 3 * HOUR)
    assert set(by_slice(found)) == set(whole)


def test_every_row_is_an_event_or_rejected_with_a_reason(tmp_path: Path) -> None:
    scores = [0.5, None, float("nan"), float("inf"), -0.1, 1.0000001, -0.0]
    path = write(tmp_path / "a.parquet", events([START] * 7, score=scores))
    write(tmp_path / "b.parquet", events([START, LATER + 9 * DAY]))

    found = evaluation(path, tmp_path / "b.parquet")

    assert found.rows == 9
    assert found.rejected == {
        "null": 1,
        "nan": 1,
        "infinite": 1,
        "below": 1,
        "above": 1,
        "bad_time": 1,
        "duplicates": 1,
    }
    assert found.metrics["*"]["n"] == 2
    assert exit_code(found) == 1


def test_windows_follow_the_grid(tmp_path: Path) -> None:
    path = write(tmp_path / "a.parquet", events([START + 30 * HOUR, START + 31 * HOUR, START + 50 * HOUR]))

    found = evaluation(path, window=timedelta(hours=24))

    assert [(row.window_start, row.events) for row in found.measurements] == [(START + DAY, 2), (START + 2 * DAY, 1)]


def test_ten_thousand_slices_are_measured_apart(tmp_path: Path) -> None:
    """One slice is in memory at a time; all at once would take almost a gigabyte."""
    names = [f"s{n}" for n in range(10_000)]
    path = write(tmp_path / "a.parquet", events([START] * 10_000, intent=names))

    found = evaluation(path, slices={"intent": "intent"})

    assert len(found.metrics) == len(found.measurements) == 10_001
    assert found.metrics["*"]["n"] == 10_000
    assert {row.events for row in found.measurements if row.slice != "*"} == {1}


def test_slice_values_may_hold_anything(tmp_path: Path) -> None:
    values = ["a/b", "a=b", "a,b", "100%", "🎉", " ", "line\nend", None, "x" * 10_000]
    path = write(tmp_path / "a.parquet", events([START] * len(values), intent=values))

    names = [name for name in by_slice(evaluation(path, slices={"intent": "intent"})) if name != "*"]

    assert len(names) == len(values)
    assert max(map(len, names)) <= 200
    assert {value for name in names for _, value in parse_slice(name)} == set(values[:-1])


def test_what_can_be_read_is_measured_and_the_rest_named(tmp_path: Path) -> None:
    good = write(tmp_path / "good.parquet", events([START]))
    (tmp_path / "bad.parquet").write_bytes(b"no Parquet at all")

    found = evaluation(good, tmp_path / "bad.parquet")

    assert found.metrics["*"]["n"] == 1
    assert "bad.parquet" in found.errors[0]
    assert exit_code(found) == 2


def test_nothing_to_read_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "bad.parquet").write_bytes(b"no Parquet at all")

    with pytest.raises(SourceError, match=r"bad\.parquet"):
        evaluation(tmp_path / "bad.parquet")
    with pytest.raises(SourceError, match="does not exist"):
        evaluation(tmp_path / "absent.parquet")


def test_a_log_without_a_row_is_undetermined(tmp_path: Path) -> None:
    found = evaluation(write(tmp_path / "a.parquet", events([])))

    assert (found.measurements, found.rows, found.whole) == ((), 0, None)
    assert exit_code(found) == 3
