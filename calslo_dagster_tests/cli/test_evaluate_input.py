"""`calslo evaluate` of input that is odd or broken: counted, or refused in a line that says what to do."""

import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster_tests.cli.logs import sample
from calslo_dagster_tests.cli.running import CALSLO, measured, only, run, spawn
from calslo_dagster_tests.sources.rows import row, write, write_bytes

NOBODY = 65_534


def refused(*arguments: object) -> str:
    """Return the message of the refusal, which must be the whole output."""
    done = run("evaluate", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("calslo: ")
    return done.stderr.removeprefix("calslo: ").strip()


def counted(path: Path, rows: list[dict[str, Any]]) -> dict[str, Any]:
    return measured(write(path, rows), "--slo", "score_range")


@pytest.mark.parametrize("name", ["log.csv", "log.jsonl", "log.csv.gz"])
def test_an_empty_file_leaves_everything_undetermined(tmp_path: Path, name: str) -> None:
    done = run("evaluate", write_bytes(tmp_path / name, b""), "--format", "json")

    assert done.exit_code == 3
    assert '"n": 0' in done.stdout
    assert done.stderr == "calslo: there is nothing to measure: no row has a usable time (0 rows)\n"


@pytest.mark.parametrize("form", ["table", "csv", "json"])
def test_a_header_alone_leaves_everything_undetermined(tmp_path: Path, form: str) -> None:
    path = write_bytes(tmp_path / "log.csv", b"event_time,score,label\n")

    done = run("evaluate", path, "--format", form)

    assert done.exit_code == 3
    assert done.stdout
    assert "nothing to measure" in done.stderr


def test_an_empty_parquet_file_is_refused(tmp_path: Path) -> None:
    path = write_bytes(tmp_path / "log.parquet", b"")

    assert refused(path).startswith(f"{path}: is empty, and even a Parquet file without rows has a footer")


def test_a_truncated_parquet_file_is_refused(tmp_path: Path) -> None:
    path = sample().write(tmp_path / "log.parquet")
    path.write_bytes(path.read_bytes()[:-100])

    assert refused(path).startswith(f"{path}: the Parquet footer is missing")


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = sample().write(tmp_path / "log.parquet")
    data = path.read_bytes()
    path.write_bytes(data[:200] + bytes(800) + data[1_000:])

    assert refused(path).startswith(f"{path}: the Parquet data is damaged")


@pytest.mark.parametrize("missing", ["event_time", "score"])
@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.jsonl"])
def test_a_missing_column_is_named_with_those_that_are_there_and_the_option(
    tmp_path: Path, missing: str, name: str
) -> None:
    flag = {"event_time": "--time-column", "score": "--score-column"}[missing]
    path = write(tmp_path / name, [{key: value for key, value in row().items() if key != missing}])

    message = refused(path)

    assert message.startswith(f'{path}: no column "{missing}"; columns found: ')
    assert "prediction_id" in message
    assert message.endswith(f"or pass {flag} to calslo evaluate")


def test_text_in_a_score_column_is_named_with_its_row(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row(), row(), row(score="high"), row(score="low")])

    assert refused(path).startswith(f'{path}: column "score", row 3: "high" is not a number')


def test_bad_scores_are_counted_by_reason_and_kept_out(tmp_path: Path) -> None:
    scores = [0.25, math.nan, math.inf, -math.inf, 1.0000001, -1e-9, None, 1.0, 0.0, -0.0]

    body = counted(tmp_path / "log.parquet", [row(score=score, prediction_id=f"{i}") for i, score in enumerate(scores)])

    assert body["rejected"] == {"nan": 1, "infinite": 2, "above": 1, "below": 1, "null": 1}
    assert body["metrics"]["*"]["n"] == 4
    assert body["metrics"]["*"]["bad_scores"] == 6
    assert only(body["measurements"])["verdict"] == "breached"


def test_nan_and_infinities_may_be_written_as_text(tmp_path: Path) -> None:
    scores = ["0.5", "NaN", "inf", "-inf", "1.0000001", "-0.0", ""]

    body = counted(tmp_path / "log.csv", [row(score=score, prediction_id=f"{i}") for i, score in enumerate(scores)])

    assert body["rejected"] == {"nan": 1, "infinite": 2, "above": 1, "null": 1}
    assert body["metrics"]["*"]["n"] == 2


def test_labels_that_are_neither_0_nor_1_are_counted_and_kept_out(tmp_path: Path) -> None:
    labels = ["0", "1", "2", "yes", "", "true", "1.0", "-1"]

    body = counted(tmp_path / "log.csv", [row(label=label, prediction_id=f"{i}") for i, label in enumerate(labels)])

    assert body["rejected"] == {"bad_label": 3}
    assert (body["metrics"]["*"]["n"], body["metrics"]["*"]["n_labeled"]) == (5, 4)


def test_weights_that_are_none_are_counted_and_kept_out(tmp_path: Path) -> None:
    weights = [1.0, 0.0, None, -1.0, math.nan, math.inf, 10_001.0]

    body = counted(tmp_path / "log.parquet", [row(weight=w, prediction_id=f"{i}") for i, w in enumerate(weights)])

    assert body["rejected"] == {"bad_weight": 4}
    assert body["metrics"]["*"]["n"] == 3


@pytest.mark.parametrize("time", ["2026-03-01T12:00:00", "2026-03-01 12:00:00"])
def test_times_without_a_zone_are_refused_with_the_option_that_names_it(tmp_path: Path, time: str) -> None:
    path = write(tmp_path / "log.csv", [row(), row(event_time=time)])

    message = refused(path)

    assert message.startswith(f'{path}: column "event_time", row 2: "{time}" has no time zone')
    assert message.endswith("or pass --time-zone UTC to calslo evaluate")
    assert measured(path, "--time-zone", "UTC")["metrics"]["*"]["n"] == 1


def test_times_as_numbers_are_refused_with_the_option_that_names_the_unit(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row(event_time=1_772_366_400_000)])

    assert refused(path).endswith("or pass --time-unit ms to calslo evaluate")

    only_row = only(measured(path, "--time-unit", "ms", "--slo", "score_range")["measurements"])
    assert only_row["window_start"] == "2026-03-01T12:00:00+00:00"


def test_times_of_1970_and_2100_belong_to_no_window(tmp_path: Path) -> None:
    times = ["1970-01-01T00:00:00Z", "2100-01-01T00:00:00Z", "soon", "", "2026-03-01T12:00:00Z"]

    body = counted(tmp_path / "log.csv", [row(event_time=time, prediction_id=f"{i}") for i, time in enumerate(times)])

    assert body["rejected"] == {"bad_time": 4}
    assert body["metrics"]["*"]["n"] == 1
    assert only(body["measurements"])["window_end"] == "2026-03-01T12:15:00+00:00"


def test_a_log_without_any_usable_time_says_so(tmp_path: Path) -> None:
    done = run("evaluate", write(tmp_path / "log.csv", [row(event_time="1970-01-01T00:00:00Z")] * 3))

    assert done.exit_code == 3
    assert "no row has a usable time (3 rows, 3 bad_time)" in done.stderr


def test_copies_of_a_prediction_count_once_and_every_row_is_accounted_for(tmp_path: Path) -> None:
    rows = [row(), row(), row(prediction_id="b", label=None), row(prediction_id="b", label=1)]

    body = counted(tmp_path / "log.parquet", rows)

    assert body["rejected"] == {"duplicates": 2}
    assert (body["metrics"]["*"]["n"], body["metrics"]["*"]["n_labeled"]) == (2, 2)


def test_copies_with_different_labels_count_without_one_and_are_told(tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [row(label=0), row(label=1), row(prediction_id="b")])

    done = run("evaluate", path)
    body = measured(path)

    assert "copies of 1 predictions have different labels; these count without a label" in done.stderr
    assert body["rejected"] == {"duplicates": 1}
    metrics = body["metrics"]["*"]
    assert (metrics["n"], metrics["n_labeled"], metrics["conflicting_labels"]) == (2, 1, 1)


def test_a_path_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()

    assert refused(tmp_path / "*.parquet") == (
        f"no file matches {tmp_path / '*.parquet'}; name a file, a folder or a glob"
    )
    assert refused(tmp_path / "empty").startswith("no file matches ")
    assert refused(tmp_path / "absent.csv").startswith(f"{tmp_path / 'absent.csv'}: does not exist")


def test_a_file_whose_name_tells_no_format_needs_the_option(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row()]).rename(tmp_path / "log.txt")

    assert refused(path).startswith(f"{path}: the name does not tell the format")
    assert measured(path, "--input-format", "csv")["metrics"]["*"]["n"] == 1


def test_of_several_files_the_broken_one_is_told_and_the_others_are_measured(tmp_path: Path) -> None:
    good = sample().write(tmp_path / "a.parquet")
    bad = write_bytes(tmp_path / "b.parquet", b"PAR1")
    worse = write(tmp_path / "c.csv", [row(score="high")])

    done = run("evaluate", tmp_path, "--slo", "ece_bound", "--format", "json")

    assert done.exit_code == 2
    assert done.stdout == run("evaluate", good, "--slo", "ece_bound", "--format", "json").stdout
    assert [line.split(": ")[:2] for line in done.stderr.splitlines()] == [["calslo", f"{bad}"], ["calslo", f"{worse}"]]


def test_when_no_file_can_be_read_each_is_told(tmp_path: Path) -> None:
    for name in ("a.parquet", "b.parquet"):
        write_bytes(tmp_path / name, b"PAR1")

    assert [Path(line.split(": ")[0]).name for line in refused(tmp_path).splitlines()] == ["a.parquet", "b.parquet"]


def test_a_file_that_vanishes_after_its_check_is_told_and_the_others_are_measured(tmp_path: Path) -> None:
    """The rows are added up in a folder of their own: when it is made, all files have been checked."""
    good, going = (sample(seed=seed).write(tmp_path / f"{seed}.parquet") for seed in (1, 2))
    vanish = f"""
import os, sys
def hook(event, arguments):
    if event == "os.mkdir" and str(arguments[0]).endswith("facts") and os.path.exists({str(going)!r}):
        os.unlink({str(going)!r})
sys.addaudithook(hook)
{CALSLO}
"""

    done = spawn("evaluate", tmp_path, "--slo", "ece_bound", "--format", "json", code=vanish)

    assert not going.exists()
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith(f"calslo: {going}: vanished between being listed and being read")
    assert done.stdout == run("evaluate", good, "--slo", "ece_bound", "--format", "json").stdout


def test_a_link_to_nowhere_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "gone.parquet").symlink_to(tmp_path / "nowhere.parquet")

    assert refused(tmp_path / "*.parquet").startswith("no file matches")


@pytest.fixture
def reachable() -> Iterator[Path]:
    """Yield a folder that every user can enter; pytest's own are for the user that runs it."""
    folder = Path(tempfile.mkdtemp(prefix="calslo-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_a_folder_and_a_file_without_permission_are_told_and_the_others_are_measured(
    reachable: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(reachable)
    for name in ("open", "locked", "half"):
        sample(500).write(reachable / name / "log.parquet").chmod(0o644)
        (reachable / name).chmod(0o755)
    (reachable / "locked").chmod(0)
    (reachable / "half" / "log.parquet").chmod(0)
    # Root may read everything, so it becomes somebody else, once it has loaded what that user may not be able to.
    drop = f"""
import os
from click.testing import CliRunner
from calslo_dagster.cli.main import cli
CliRunner().invoke(cli, ["evaluate", {str(reachable / "open")!r}, "--format", "csv"])
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
cli()
"""

    try:
        done = spawn("evaluate", reachable, "--slo", "ece_bound", "--format", "csv", code=drop)
        alone = spawn("evaluate", reachable / "locked", code=drop)
    finally:
        (reachable / "locked").chmod(0o700)

    assert done.returncode == 2
    assert len(done.stdout.splitlines()) == 2
    assert re.findall(r"^calslo: (.*?): permission denied", done.stderr, re.MULTILINE) == [
        str(reachable / "half" / "log.parquet"),
        str(reachable / "locked"),
    ]
    assert (alone.returncode, alone.stdout) == (2, "")
    assert alone.stderr.startswith(f"calslo: {reachable / 'locked'}: permission denied")


def test_too_little_memory_is_told_with_the_setting(tmp_path: Path) -> None:
    path = sample(200_000).write(tmp_path / "log.parquet", prediction_id=[f"{i:040}" for i in range(200_000)])
    (tmp_path / "calslo.yaml").write_text("engine: {threads: 1, memory_limit: 1MB}\n")

    message = refused(path)

    assert message.startswith("1MB of memory are too little")
    assert "raise engine.memory_limit in calslo.yaml" in message


def test_a_file_whose_name_is_no_text_is_told(tmp_path: Path) -> None:
    name = os.fsdecode(b"b\xffd.parquet")
    (tmp_path / name).write_bytes(b"PAR1")

    done = spawn("evaluate", tmp_path)

    assert done.returncode == 2
    assert done.stderr.endswith("/b\\xffd.parquet: the name is not UTF-8; rename the file\n")


def test_the_header_may_come_in_any_order_and_files_may_be_compressed(tmp_path: Path) -> None:
    rows = [dict(reversed(row(prediction_id=f"{i}").items())) for i in range(50)]
    names = ("a.csv", "b.csv.gz", "c.csv.zst", "d.jsonl", "e.jsonl.gz", "f.jsonl.zst", "g.parquet")

    found = [counted(tmp_path / name, rows) for name in names]

    assert found[0]["metrics"]["*"]["n"] == 50
    assert all(body == found[0] for body in found)


def test_compressed_data_that_was_cut_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv.gz", [row(prediction_id=f"{i}") for i in range(500)])
    path.write_bytes(path.read_bytes()[:-20])

    assert refused(path).startswith(f"{path}: the compressed data ends early")
