"""`calslo evaluate` finds its columns: by canonical name, by option, or as a source of the settings names them."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from calslo_dagster_tests.cli.logs import Sample, sample
from calslo_dagster_tests.cli.running import measured, only, run
from calslo_dagster_tests.sources.rows import row, write

EXTRAS = {
    "prediction_id": [f"{i // 2}" for i in range(1_000)],
    "weight": [float(i % 4) for i in range(1_000)],
    "latency_us": [float(i) for i in range(1_000)],
    "clamped": [i < 300 for i in range(1_000)],
    "clamp_alpha": [0.1] * 1_000,
    "calibrator_version": ["v1"] * 1_000,
}


def refused(*arguments: object) -> str:
    done = run("evaluate", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    return done.stderr


def extras(prefix: str = "") -> dict[str, Any]:
    return {f"{prefix}{name}": values for name, values in EXTRAS.items()}


def test_every_column_is_found_by_its_canonical_name(tmp_path: Path) -> None:
    once = sample(500, days=1 / 25)
    log = Sample(np.repeat(once.times, 2), np.repeat(once.scores, 2), np.repeat(once.labels, 2))

    body = measured(log.write(tmp_path / "log.parquet", **extras()))

    metrics = body["metrics"]["*"]
    assert body["rejected"] == {"duplicates": 500}
    # Of two copies the smaller values count, in the order of the columns.
    error = np.average((once.scores - once.labels) ** 2, weights=np.arange(500) * 2 % 4)
    assert metrics["brier"] == pytest.approx(error, abs=1e-9)
    assert metrics["clamp_rate"] == pytest.approx(0.3)
    assert metrics["alpha"] == pytest.approx(0.1)
    assert metrics["p99_latency_us"] == pytest.approx(988, rel=0.01)
    assert only(body["measurements"], slo="clamp_activation")["verdict"] == "breached"
    assert only(body["measurements"], slo="p99_latency")["events"] == 500


def test_columns_of_other_names_are_mapped_by_options(tmp_path: Path) -> None:
    log = sample(1_000)
    plain = log.write(tmp_path / "plain.parquet", **extras())
    table = log.table(**extras("my_")).rename_columns(["ts", "p", "clicked", *(f"my_{name}" for name in EXTRAS)])
    pq.write_table(table, tmp_path / "mapped.parquet")
    flags = [part for name in EXTRAS for part in ("--column", f"{name}=my_{name}")]

    by_flags = measured(
        tmp_path / "mapped.parquet", "--time-column", "ts", "--score-column", "p", "--label-column", "clicked", *flags
    )
    by_pairs = measured(
        tmp_path / "mapped.parquet",
        *(part for pair in ("event_time=ts", "score=p", "label=clicked") for part in ("--column", pair)),
        *flags,
    )

    assert by_flags == by_pairs == measured(plain)


def test_an_option_that_names_one_column_wins_over_a_pair(tmp_path: Path) -> None:
    log = sample(500)
    path = log.write(tmp_path / "log.parquet", p=np.full(500, 0.5))

    body = measured(path, "--column", "score=score", "--score-column", "p")

    assert body["metrics"]["*"]["mean_score"] == 0.5


@pytest.mark.parametrize(
    ("pair", "says"),
    [
        ("weight", "write it as NAME=COL, such as weight=w"),
        ("weight=", "write it as NAME=COL"),
        ("wieght=w", "no input is named 'wieght'; did you mean 'weight'?"),
        ("label_time=t", "no input is named 'label_time'"),
    ],
)
def test_a_pair_that_maps_nothing_is_bad_usage(tmp_path: Path, pair: str, says: str) -> None:
    message = refused(sample(500).write(tmp_path / "log.parquet"), "--column", pair)

    assert f"--column {pair}: {says}" in " ".join(message.split())


@pytest.mark.parametrize(
    "arguments", [("--slice", "contry"), ("--label-column", "contry"), ("--column", "weight=contry")], ids=" ".join
)
@pytest.mark.parametrize("name", ["log.parquet", "log.csv", "log.jsonl"])
def test_a_column_that_was_named_but_is_nowhere_is_refused(
    tmp_path: Path, arguments: tuple[str, str], name: str
) -> None:
    path = write(tmp_path / name, [row(country="de")] * 3)

    message = refused(path, *arguments)

    assert message.startswith("calslo: no file has a column 'contry'; did you mean 'country'? columns found: ")
    assert "prediction_id" in message


def test_a_column_that_one_file_has_is_missing_in_the_others(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", [row(country="de", prediction_id="a")])
    write(tmp_path / "b.csv", [row(prediction_id="b")])

    names = list(measured(tmp_path, "--slice", "country")["metrics"])

    assert names == ["*", "country=%null", "country=de"]


def test_a_column_without_any_value_is_a_slice_of_missing_values(tmp_path: Path) -> None:
    path = write(tmp_path / "log.csv", [row(country="")] * 3)

    assert list(measured(path, "--slice", "country")["metrics"]) == ["*", "country=%null"]


def test_a_log_without_labels_is_undetermined(tmp_path: Path) -> None:
    path = write(tmp_path / "log.parquet", [{"event_time": row()["event_time"], "score": 0.5}] * 500)

    found = only(measured(path, "--slo", "ece_bound")["measurements"])

    assert (found["verdict"], found["labeled"]) == ("unknown", 0)
    assert "no labelled events" in found["reason"].lower()


def test_folders_of_a_hive_tree_are_slices(tmp_path: Path) -> None:
    for country, count in (("de", 300), ("fr", 200), ("__HIVE_DEFAULT_PARTITION__", 100)):
        sample(count).write(tmp_path / "log" / f"country={country}" / "day=2026-03-02" / "part-0.parquet")

    body = measured(tmp_path / "log", "--slice", "country", "--slice", "day")

    assert {name: values["n"] for name, values in body["metrics"].items()} == {
        "*": 600,
        "country=%null,day=2026-03-02": 100,
        "country=de,day=2026-03-02": 300,
        "country=fr,day=2026-03-02": 200,
    }


SOURCES = """
sources:
  - name: ranker
    model: search-ranker
    paths: [elsewhere/*.csv]
    format: csv
    delimiter: ";"
    columns: {event_time: ts, score: p, label: clicked, weight: w}
    slice_columns: {language: lang}
    time_zone: UTC
slos:
  ece_bound: {overrides: [{models: "search-*", fail: 0.5}]}
"""


def ranker_log(path: Path, count: int = 400) -> Path:
    lines = [f"2026-03-02 00:{i % 60:02}:00;0.{i % 10};{i % 2};2;de" for i in range(count)]
    path.write_text("\n".join(["ts;p;clicked;w;lang", *lines]) + "\n")
    return path


def test_a_source_of_the_settings_tells_how_its_files_are_read(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text(SOURCES)

    body = measured(ranker_log(tmp_path / "today.txt"), "--source", "ranker", "--slice", "language")

    assert {name: values["n"] for name, values in body["metrics"].items()} == {"*": 400, "language=de": 400}
    assert only(body["measurements"], slo="ece_bound", slice="*")["threshold"] == 0.5


def test_options_win_over_the_source(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text(SOURCES)
    path = ranker_log(tmp_path / "today.csv")

    body = measured(path, "--source", "ranker", "--score-column", "w", "--time-zone", "Europe/Berlin")

    assert body["rejected"] == {"above": 400}
    assert body["measurements"][0]["window_end"] == "2026-03-02T00:00:00+00:00"


def test_without_a_source_canonical_names_hold_whatever_the_settings_say(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text(SOURCES)

    assert measured(sample(500).write(tmp_path / "log.parquet"))["metrics"]["*"]["n"] == 500


def test_an_unknown_source_is_answered_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text(SOURCES)

    message = refused(sample(500).write(tmp_path / "log.parquet"), "--source", "rankr")

    assert message == "calslo: no source is named 'rankr'; did you mean 'ranker'?\n"


def test_the_source_of_a_table_lends_its_columns_and_needs_no_secret(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text(
        "sources: [{name: ads, kind: sql, url: 'env:ABSENT', table: t, columns: {score: p}}]\n"
    )
    path = sample(500).write(tmp_path / "log.parquet", p=np.full(500, 0.5))

    assert measured(path, "--source", "ads")["metrics"]["*"]["mean_score"] == 0.5


@pytest.mark.parametrize("where", ["option", "variable", "folder"])
def test_settings_are_found_by_option_variable_and_folder(tmp_path: Path, where: str) -> None:
    file = tmp_path / ("calslo.yaml" if where == "folder" else "mine.yaml")
    file.write_text("slos: {score_range: {fail: 0.25}}\n")
    path = sample(500).write(tmp_path / "log.parquet")

    body = measured(
        path,
        *(("--config", file) if where == "option" else ()),
        **({"CALSLO_CONFIG": str(file)} if where == "variable" else {}),
    )

    assert only(body["measurements"], slo="score_range")["threshold"] == 0.25


def test_wrong_settings_are_refused_with_every_mistake(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text("latness: 5m\nlateness: 10\n")

    message = refused(sample(500).write(tmp_path / "log.parquet"))

    assert "calslo.yaml:1: latness" in message
    assert "calslo.yaml:2: lateness" in message


MANIFESTS = {
    "manifests": [
        {"version": "v1", "model": "ranker", "c_hat": 1.5},
        {"version": "v1", "model": "ranker", "slice": "country=de", "c_hat": 3.0},
        {"version": "v2", "model": "ranker", "c_hat": 2.0},
    ]
}


def test_the_bound_takes_its_constant_from_the_manifests_of_the_versions_seen(tmp_path: Path) -> None:
    (tmp_path / "fitted.json").write_text(json.dumps(MANIFESTS))
    (tmp_path / "calslo.yaml").write_text("manifests: [fitted.json]\n")
    columns = {
        "country": ["de"] * 500 + ["fr"] * 500 + ["us"] * 500,
        "calibrator_version": ["v1"] * 1_000 + ["v3"] * 500,
    }
    path = sample(1_500).write(tmp_path / "log.parquet", **columns)

    rows = measured(path, "--slice", "country", "--slo", "ece_bound")["measurements"]

    # floor(sqrt(N)) bins below 4,000 events, and c of the slice, of everything, or of the settings.
    constants = {row["slice"]: row["threshold"] / (int(row["events"] ** 0.5) / row["events"]) ** 0.5 for row in rows}
    assert constants == pytest.approx({"*": 1.5, "country=de": 3.0, "country=fr": 1.5, "country=us": 0.7})
    assert "from the manifest" in only(rows, slice="country=de")["reason"]


def test_constants_that_promise_nothing_are_told_where_the_bound_is_measured(tmp_path: Path) -> None:
    (tmp_path / "fitted.json").write_text(json.dumps({"manifests": [{"version": "v1", "model": "m", "c_hat": 5.0}]}))
    text = "manifests: [fitted.json]\nslos: {ece_bound: {parameters: {c: 0.5}}}\n"
    (tmp_path / "calslo.yaml").write_text(text)
    path = sample(500).write(tmp_path / "log.parquet")

    bound, other = (run("evaluate", path, "--slo", name, "--format", "json") for name in ("ece_bound", "score_range"))

    small, large = bound.stderr.splitlines()
    assert small.startswith("calslo: warning: ")
    assert "calslo.yaml:2: slos.ece_bound.parameters.c: 0.5 is so small" in small
    assert "version v1: c_hat 5 is so large" in large
    assert json.loads(bound.stdout).keys() == {"measurements", "metrics", "rejected"}
    assert other.stderr == ""


def test_alpha_of_the_weeks_comes_from_the_manifests_where_events_do_not_tell(tmp_path: Path) -> None:
    fitted = [{"version": f"v{i}", "model": "ranker", "alpha": alpha} for i, alpha in ((1, 0.1), (2, 0.3))]
    (tmp_path / "fitted.json").write_text(json.dumps({"manifests": fitted}))
    (tmp_path / "calslo.yaml").write_text("manifests: [fitted.json]\n")
    log = sample(2_000, days=14)
    versions = np.where(log.times < 7 * 86_400_000_000, "v1", "v2")

    rows = measured(log.write(tmp_path / "log.parquet", calibrator_version=pa.array(versions)), "--slo", "clamp_alpha")[
        "measurements"
    ]

    assert only(rows)["value"] == pytest.approx(0.2)


def test_manifests_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text("manifests: [absent.json]\n")

    assert "absent.json: there is no such file" in refused(sample(500).write(tmp_path / "log.parquet"))
