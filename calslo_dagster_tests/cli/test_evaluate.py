"""`calslo evaluate` keeps its contract: names, keys, windows, formats, exit codes, and the settings it goes by."""

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from calslo_dagster.slo.registry import builtin
from calslo_dagster_tests.cli.logs import DAY_US, START, Sample, sample
from calslo_dagster_tests.cli.running import measured, only, run, spawn

FIELDS = [
    *("slo", "slice", "window_start", "window_end", "value", "threshold", "warn_threshold"),
    *("low", "high", "events", "labeled", "verdict", "reason"),
]
METRICS = {"n", "ece_ew10", "ece_ew15", "ece_em15", "brier", "log_loss", "debiased_ece", "spiegelhalter_z"}
US = timedelta(microseconds=1)


def countries(log: Sample, *names: str) -> list[str]:
    return [names[i % len(names)] for i in range(len(log))]


def test_json_has_exactly_the_promised_keys(tmp_path: Path) -> None:
    log = sample()
    path = log.write(tmp_path / "log.parquet", country=countries(log, "de", "fr"))

    body = measured(path, "--slice", "country")

    assert list(body) == ["measurements", "metrics", "rejected"]
    assert all(list(row) == FIELDS for row in body["measurements"])
    assert list(body["metrics"]) == ["*", "country=de", "country=fr"]
    assert all(set(values) >= METRICS for values in body["metrics"].values())
    assert {row["slo"] for row in body["measurements"]} == set(builtin().names)
    assert body["rejected"] == {}
    assert body["metrics"]["*"]["n"] == 2_000


def test_slices_of_several_columns_are_named_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    log = sample(600)
    path = log.write(tmp_path / "log.parquet", a=countries(log, "x", "y"), b=countries(log, "1", "2", "3"))

    names = list(measured(path, "--slice", "b", "--slice", "a", "--slice", "b")["metrics"])

    assert names == ["*", *(f"b={b},a={a}" for b in "123" for a in "xy")]


def test_windows_of_a_measurement_are_those_of_the_log(tmp_path: Path) -> None:
    log = Sample(np.array([5, 3 * DAY_US - 1]), np.array([0.2, 0.7]), np.array([0.0, 1.0]))

    row = only(measured(log.write(tmp_path / "log.parquet"), "--slo", "score_range")["measurements"])

    assert (row["window_start"], row["window_end"]) == ("2026-03-02T00:00:00+00:00", "2026-03-05T00:00:00+00:00")
    assert (row["slo"], row["slice"], row["value"], row["threshold"]) == ("score_range", "*", 0.0, 0.0)
    assert (row["events"], row["labeled"], row["verdict"]) == (2, 2, "meeting")


@pytest.mark.parametrize(("window", "hours"), [("15m", 0.25), ("1h", 1), ("24h", 24), ("7d", 168)])
def test_windows_follow_one_another_on_the_grid_of_their_length(tmp_path: Path, window: str, hours: float) -> None:
    log = sample(3_000, days=1.8 if hours < 24 else 15.5)
    length = round(hours * 3_600_000_000)

    body = measured(log.write(tmp_path / "log.parquet"), "--window", window, "--slo", "score_range")

    starts = np.unique(log.times // length * length)
    found = [(row["window_start"], row["window_end"], row["events"]) for row in body["measurements"]]
    assert found == [
        (
            (START + int(start) * US).isoformat(),
            (START + int(start + length) * US).isoformat(),
            int(((log.times >= start) & (log.times < start + length)).sum()),
        )
        for start in starts
    ]
    assert body["metrics"]["*"]["n"] == 3_000


def test_a_window_without_events_is_unknown_for_everything_and_absent_for_a_dormant_slice(tmp_path: Path) -> None:
    times = np.concatenate([np.arange(300), 3 * DAY_US + np.arange(300)])
    log = Sample(times, np.full(600, 0.5), np.tile([0.0, 1.0], 300))
    path = log.write(tmp_path / "log.parquet", country=["de"] * 300 + ["fr"] * 300)

    rows = measured(path, "--window", "24h", "--slo", "ece_bound", "--slice", "country")["measurements"]

    found = {(row["slice"], row["window_end"][8:10]): row["verdict"] for row in rows}
    assert found == {
        ("*", "03"): "meeting",
        ("*", "04"): "unknown",
        ("*", "05"): "unknown",
        ("*", "06"): "meeting",
        ("country=de", "03"): "meeting",
        ("country=fr", "06"): "meeting",
    }


def test_a_short_window_without_events_is_unknown_while_the_slice_was_busy_the_day_before(tmp_path: Path) -> None:
    hour = DAY_US // 24
    log = Sample(np.array([0, 2 * hour, 40 * hour]), np.full(3, 0.5), np.ones(3))
    path = log.write(tmp_path / "log.parquet", country=["de", "fr", "fr"])

    rows = measured(path, "--window", "1h", "--slo", "score_range", "--slice", "country")["measurements"]

    ends = {name: [row["window_end"] for row in rows if row["slice"] == name] for name in ("*", "country=de")}
    assert ends["*"] == [(START + timedelta(hours=n)).isoformat() for n in range(1, 42)]
    assert ends["country=de"] == [(START + timedelta(hours=n)).isoformat() for n in range(1, 25)]


def test_weekly_slos_compare_whole_weeks(tmp_path: Path) -> None:
    log = sample(60_000, days=17)
    path = log.write(tmp_path / "log.parquet")

    whole = measured(path, "--slo", "weekly_drift")["measurements"]
    each = measured(path, "--slo", "weekly_drift", "--window", "7d")["measurements"]

    assert [row["window_end"][:10] for row in whole] == ["2026-03-16"]
    assert [row["window_end"][:10] for row in each] == ["2026-03-09", "2026-03-16", "2026-03-23"]
    assert each[1] == whole[0]
    assert whole[0]["labeled"] == int(((log.times >= 7 * DAY_US) & (log.times < 14 * DAY_US)).sum())
    assert each[0]["verdict"] == "unknown"


@pytest.mark.parametrize(("days", "end"), [(14.9, "2026-03-16"), (13.2, "2026-03-16"), (12.9, "2026-03-09")])
def test_the_last_week_counts_when_the_log_reaches_its_last_day(tmp_path: Path, days: float, end: str) -> None:
    path = sample(3_000, days=days).write(tmp_path / "log.parquet")

    assert only(measured(path, "--slo", "weekly_drift")["measurements"])["window_end"][:10] == end


def test_a_log_of_less_than_a_week_leaves_weekly_slos_unknown_within_its_own_week(tmp_path: Path) -> None:
    row = only(measured(sample(days=2).write(tmp_path / "log.parquet"), "--slo", "weekly_drift")["measurements"])

    assert (row["window_start"][:10], row["window_end"][:10], row["verdict"]) == ("2026-03-02", "2026-03-09", "unknown")


@pytest.mark.parametrize(
    ("log", "slos", "code"),
    [
        (sample(), ["ece_bound"], 0),
        (sample(), ["ece_bound", "score_range"], 0),
        (sample(shift=0.2), ["ece_bound"], 1),
        (sample(shift=0.2), ["ece_bound", "p99_latency"], 1),
        (sample(199), ["ece_bound"], 3),
        (sample(), ["ece_bound", "p99_latency"], 3),
        (sample(), [], 3),
    ],
    ids=["met", "both met", "breached", "breached and unknown", "too few", "one unknown", "all of them"],
)
def test_the_exit_code_tells_the_worst_verdict(tmp_path: Path, log: Sample, slos: list[str], code: int) -> None:
    path = log.write(tmp_path / "log.parquet")

    done = run("evaluate", path, *(part for slo in slos for part in ("--slo", slo)))

    assert done.exit_code == code
    assert done.stderr == ""


def test_a_warning_is_met(tmp_path: Path) -> None:
    log = sample(1_000)
    path = log.write(tmp_path / "log.parquet", clamped=[i < 70 for i in range(1_000)])

    done = run("evaluate", path, "--slo", "clamp_activation", "--format", "json")

    assert only(json.loads(done.stdout)["measurements"])["verdict"] == "warning"
    assert done.exit_code == 0


def test_a_process_gives_the_same_code_and_keeps_its_streams_apart(tmp_path: Path) -> None:
    log = sample(shift=0.2).write(tmp_path / "log.parquet")
    (tmp_path / "bad.parquet").write_bytes(b"PAR1")

    breached = spawn("evaluate", log, "--slo", "ece_bound", "--format", "json")
    partly = spawn("evaluate", log, tmp_path / "bad.parquet", "--slo", "ece_bound", "--format", "json")

    assert (breached.returncode, breached.stderr) == (1, "")
    assert partly.returncode == 2
    assert json.loads(partly.stdout) == json.loads(breached.stdout)
    assert partly.stderr.startswith(f"calslo: {tmp_path / 'bad.parquet'}: the Parquet footer is missing")


def test_csv_says_what_json_says(tmp_path: Path) -> None:
    log = sample()
    path = log.write(tmp_path / "log.parquet", country=countries(log, "de", "fr"))
    (tmp_path / "calslo.yaml").write_text(
        "slos: {define: [{name: mean, metric: mean_score, operator: within, fail: [0.4, 0.6]}]}\n"
    )

    body = measured(path, "--slice", "country")
    text = run("evaluate", path, "--slice", "country", "--format", "csv").stdout

    rows = list(csv.DictReader(io.StringIO(text)))
    assert text.splitlines()[0] == ",".join(FIELDS)
    assert len(rows) == len(body["measurements"])
    for row, wanted in zip(rows, body["measurements"], strict=True):
        texts = {name: "" if value is None else str(value) for name, value in wanted.items()}
        assert row == texts
    assert only(rows, slo="mean", slice="*")["threshold"] == "[0.4, 0.6]"


def test_the_table_shows_the_worst_first_with_its_reason(tmp_path: Path) -> None:
    log = sample(4_000, shift=0.2)
    path = log.write(tmp_path / "log.parquet", country=countries(log, "de", "fr"))

    lines = run("evaluate", path, "--slice", "country").stdout.splitlines()

    assert lines[0].startswith("4,000 rows, 2026-03-02 00:00 to 2026-03-03 00:00 UTC; worst first")
    assert [lines[i].split()[0:3:2] for i in (2, 3, 4)] == [["ece_bound", "breached"]] * 3
    assert "it must be at most" in lines[2]
    assert any(line.startswith("Metrics") for line in lines)
    assert any(line.split()[:2] == ["country=de", "2,000"] for line in lines)


def test_the_table_of_windows_tells_their_ends(tmp_path: Path) -> None:
    path = sample(days=3).write(tmp_path / "log.parquet")

    shown = run("evaluate", path, "--window", "24h", "--slo", "score_range").stdout

    assert "window end (UTC)" in shown
    assert all(f"2026-03-{day} 00:00" in shown for day in ("03", "04", "05"))


def test_only_the_named_slos_are_measured_and_each_once(tmp_path: Path) -> None:
    path = sample().write(tmp_path / "log.parquet")

    rows = measured(path, "--slo", "score_range", "--slo", "ece_bound", "--slo", "score_range")["measurements"]

    assert [row["slo"] for row in rows] == ["ece_bound", "score_range"]


def test_an_unknown_slo_is_answered_with_the_nearest(tmp_path: Path) -> None:
    done = run("evaluate", sample().write(tmp_path / "log.parquet"), "--slo", "ece_bond")

    assert done.exit_code == 2
    assert done.stdout == ""
    assert done.stderr == "calslo: no SLO is named 'ece_bond'; did you mean 'ece_bound'?\n"


@pytest.mark.parametrize(
    "arguments", [("--window", "2h"), ("--format", "xml"), ("--time-unit", "min"), ("--time-zone", "Mars/Olympus")]
)
def test_values_that_do_not_exist_are_bad_usage(tmp_path: Path, arguments: tuple[str, str]) -> None:
    done = run("evaluate", sample().write(tmp_path / "log.parquet"), *arguments)

    assert done.exit_code == 2
    assert done.stdout == ""
    assert arguments[1] in done.stderr


def test_limits_and_own_slos_come_from_the_settings(tmp_path: Path) -> None:
    path = sample(20_000).write(tmp_path / "log.parquet")
    (tmp_path / "calslo.yaml").write_text("""
slos:
  ece_bound: {parameters: {c: 0.1, floor: 0.0001}, slices: "country=*"}
  score_range: {fail: 0.5}
  define:
    - {name: busiest, metric: n, operator: "<", fail: 300, aggregation: max, pane: 15m, window: 1h}
""")

    rows = measured(path)["measurements"]

    assert not [row for row in rows if row["slo"] == "ece_bound"]
    assert only(rows, slo="score_range")["threshold"] == 0.5
    log = sample(20_000)
    assert only(rows, slo="busiest")["value"] == np.bincount(log.times // (DAY_US // 96)).max()


def test_panes_are_those_of_each_window(tmp_path: Path) -> None:
    log = sample(5_000)
    (tmp_path / "calslo.yaml").write_text("""
slos:
  define:
    - {name: quietest, metric: n, operator: ">", fail: 0, aggregation: min, pane: 30m, window: 1h}
""")

    rows = measured(log.write(tmp_path / "log.parquet"), "--slo", "quietest", "--window", "1h")["measurements"]

    assert [row["value"] for row in rows] == np.bincount(log.times // (DAY_US // 48)).reshape(-1, 2).min(
        axis=1
    ).tolist()


def test_a_broken_slo_of_the_user_is_an_error_verdict_and_undetermined(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from calslo_dagster.slo.model import SLO, Objective\n"
        "slo = SLO('mine', 'Mine', lambda evidence: 1 / 0, Objective(at_most=1.0))\n"
    )
    (tmp_path / "calslo.yaml").write_text("slos: {modules: [mine.py]}\n")

    done = run("evaluate", sample().write(tmp_path / "log.parquet"), "--slo", "mine", "--format", "json")

    assert done.exit_code == 3
    row = only(json.loads(done.stdout)["measurements"])
    assert row["verdict"] == "error"
    assert "ZeroDivisionError" in row["reason"]


def test_evaluating_twice_and_in_any_order_of_files_gives_the_same_bytes(tmp_path: Path) -> None:
    log = sample(3_000)
    halves = [
        Sample(log.times[part], log.scores[part], log.labels[part]).write(tmp_path / f"{name}.parquet")
        for name, part in (("a", slice(0, None, 2)), ("b", slice(1, None, 2)))
    ]
    whole = log.write(tmp_path / "whole" / "log.parquet")

    shown = [run("evaluate", *paths, "--format", "json").stdout for paths in (halves, halves[::-1], [whole], [whole])]

    assert len(set(shown)) == 1


def test_files_folders_and_globs_are_counted_once(tmp_path: Path) -> None:
    for seed, day in enumerate(("a", "b")):
        sample(100, seed=seed).write(tmp_path / "logs" / f"{day}.parquet")

    folder, pattern = tmp_path / "logs", tmp_path / "logs" / "*.parquet"

    assert measured(folder, pattern, tmp_path / "logs" / "a.parquet")["metrics"]["*"]["n"] == 200


def test_the_clock_of_the_log_may_be_now(tmp_path: Path) -> None:
    now = (datetime.now(UTC) - START) // US
    log = Sample(np.array([now]), np.array([0.5]), np.array([1.0]))

    assert measured(log.write(tmp_path / "log.parquet"))["metrics"]["*"]["n"] == 1
