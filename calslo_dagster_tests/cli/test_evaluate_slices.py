"""`calslo evaluate` with slices of every kind: strange values, strange names, and thousands of them."""

from pathlib import Path

import numpy as np
import pytest

from calslo_dagster.slo.slices import parse_slice, slice_name
from calslo_dagster_tests.cli.logs import sample
from calslo_dagster_tests.cli.running import measured, run
from calslo_dagster_tests.sources.rows import row, write

STRANGE = ["a/b", "a=b", "a,b", "%", "%null", "🎉 ünï", "'; --", 'quo"te', " ", "line\nend", "\x1b[31mred", "~", "*"]


@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.jsonl"])
def test_strange_values_are_slices_of_their_own(tmp_path: Path, name: str) -> None:
    rows = [row(tag=tag, prediction_id=f"{i}") for i, tag in enumerate([*STRANGE, None])]

    body = measured(write(tmp_path / name, rows), "--slice", "tag", "--slo", "score_range")

    found = list(body["metrics"])
    assert found == sorted({"*", *(slice_name(["tag"], [tag]) for tag in (*STRANGE, None))})
    assert [dict(parse_slice(each)) for each in found if each != "*"]
    assert {row["slice"] for row in body["measurements"]} == set(found)


@pytest.mark.parametrize("form", ["table", "csv"])
def test_control_characters_of_a_value_reach_no_terminal(tmp_path: Path, form: str) -> None:
    rows = [row(tag=tag, prediction_id=f"{i}") for i, tag in enumerate(STRANGE)]

    shown = run("evaluate", write(tmp_path / "log.parquet", rows), "--slice", "tag", "--format", form).stdout

    assert "\x1b" not in shown
    assert "tag=%1B[31mred" in shown


def test_values_of_ten_kilobytes_keep_their_slices_apart(tmp_path: Path) -> None:
    tags = ["x" * 10_000, "x" * 10_000 + "y", "🎉" * 10_000]
    path = write(tmp_path / "log.parquet", [row(tag=tag, prediction_id=f"{i}") for i, tag in enumerate(tags)])

    names = list(measured(path, "--slice", "tag")["metrics"])
    shown = run("evaluate", path, "--slice", "tag").stdout

    assert sorted(names) == sorted({"*", *(slice_name(["tag"], [tag]) for tag in tags)})
    assert all(len(name) <= 200 for name in names)
    assert all(name in shown for name in names)


@pytest.mark.parametrize(
    "name", ["version", "n", "score", "t", "bin", "label", "calibrator_version", "prediction_id", "slice_0"]
)
def test_a_slice_may_be_called_like_a_column_of_ours(tmp_path: Path, name: str) -> None:
    path = write(tmp_path / "log.parquet", [{**row(), name: value} for value in (0, 1)])

    found = list(measured(path, "--slice", name)["metrics"])

    assert set(found) == {"*", f"{name}=0", f"{name}=1"}


def test_slice_columns_that_differ_in_case_only_are_bad_usage(tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [{**row(), "Tag": "a", "tag": "b"}])

    done = run("evaluate", path, "--slice", "Tag", "--slice", "tag")

    assert done.exit_code == 2
    assert "slice columns Tag and tag differ in upper and lower case only" in done.stderr


@pytest.mark.parametrize("name", ["", "a,b", "a=b"])
def test_a_slice_column_that_cannot_be_named_is_bad_usage(tmp_path: Path, name: str) -> None:
    done = run("evaluate", write(tmp_path / "log.parquet", [row()]), "--slice", name)

    assert done.exit_code == 2
    assert f"slice column {name!r} is empty or holds" in done.stderr


def test_thousands_of_slices_print_on_a_few_pages(tmp_path: Path) -> None:
    count = 12_000
    tags = [f"s{i % 2_000}" for i in range(count)]
    path = sample(count).write(tmp_path / "log.parquet", tag=tags)

    done = run("evaluate", path, "--slice", "tag", "--slo", "ece_bound")

    assert done.exit_code == 3
    assert len(done.stdout.splitlines()) < 100
    assert "1,961 more, none worse" in done.stdout
    assert "1,961 more slices, none larger" in done.stdout


def test_slices_add_up_to_everything(tmp_path: Path) -> None:
    tags = np.random.default_rng(3).choice(["a", "b", "c"], 3_000).tolist()

    metrics = measured(sample(3_000).write(tmp_path / "log.parquet", tag=tags), "--slice", "tag")["metrics"]

    assert metrics["*"]["n"] == sum(values["n"] for name, values in metrics.items() if name != "*") == 3_000
