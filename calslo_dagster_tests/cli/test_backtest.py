"""`calslo backtest` says what changed settings would have made of the days that are over."""

import json
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster.pipeline.compact_snapshots import compact_snapshots
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store.digest import table_digest
from calslo_dagster.store.schema import metadata
from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.logs import LATER, SETTINGS, START, aggregate, days_from, project_at, traffic, write

FIRST, LAST = (f"{day}" for day in days_from(START, 2))
SPAN = ("--from", FIRST, "--to", LAST)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with settings and the snapshots of forty hours of traffic; nothing else was ever stored."""
    folder = tmp_path_factory.mktemp("home")
    write(folder / "log/a.parquet", traffic(hours=40).log)
    project = project_at(folder)
    with project.store:
        aggregate(project, days_from(START, 2))
    return folder


@pytest.fixture
def new(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the file of the settings to try, which are those in force until a test changes them."""
    monkeypatch.chdir(home)
    file = home / "new.yaml"
    file.write_text(SETTINGS, encoding="utf-8")
    return file


def changed(file: Path, old: str, text: str) -> None:
    assert old in SETTINGS
    file.write_text(SETTINGS.replace(old, text), encoding="utf-8")


def body(*arguments: object, code: int = 1) -> dict[str, Any]:
    done = run("backtest", "--config", "new.yaml", *SPAN, *arguments, "--format", "json")
    assert done.exit_code == code, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def of(found: dict[str, Any], slo: str, slice_name: str = "*") -> dict[str, Any]:
    slices = next(one["slices"] for one in found["slos"] if one["slo"] == slo)
    return next(dict(one) for one in slices if one["slice"] == slice_name)


def digests(folder: Path) -> list[str]:
    project = project_at(folder)
    with project.store, project.store.read() as session:
        return [table_digest(session, table) for table in metadata.sorted_tables]


def test_the_same_settings_differ_in_nothing(new: Path) -> None:
    done = run("backtest", "--config", new, *SPAN)

    assert done.exit_code == 0
    assert "new.yaml changes nothing" in done.stdout


def test_nothing_is_stored(home: Path, new: Path) -> None:
    before = digests(home)
    changed(new, "window: 1h}", "window: 2h}")

    assert run("backtest", "--config", new, *SPAN).exit_code == 1
    assert digests(home) == before


def test_a_laxer_limit_is_told_by_its_breaches_and_pages(new: Path) -> None:
    changed(new, "parameters: {c: 0.4}", "parameters: {c: 9.0}")
    found = body()

    whole = of(found, "ece_bound")
    assert [pair["match"] for pair in whole["breaches"]] == ["only_now"]
    assert {(one["from"], one["to"]) for one in whole["changes"]} >= {("breached", "meeting")}
    assert whole["changed_windows"] == sum(one["windows"] for one in whole["changes"])
    assert whole["now"]["verdicts"]["breached"] > whole["new"]["verdicts"]["breached"] == 0
    assert whole["now"]["budget"]["used"] == whole["now"]["verdicts"]["breached"]
    assert found["pages"]["new"]["told"] < found["pages"]["now"]["told"]
    assert any(line.startswith("new.yaml would have paged") and "instead of" in line for line in found["summary"])
    assert any("of ece_bound on" in line and "no longer seen" in line for line in found["summary"])


def test_a_longer_window_moves_a_breach(new: Path) -> None:
    changed(new, "p99_latency: {min_events: 20, window: 1h}", "p99_latency: {min_events: 20, window: 3h}")
    found = body("--slo", "p99_latency")

    (pair,) = of(found, "p99_latency")["breaches"]
    assert pair["match"] == "moved"
    assert pair["now"]["recovered_at"] < pair["new"]["recovered_at"]
    assert [one["slo"] for one in found["slos"]] == ["p99_latency"]
    assert found["slos"][0]["fields"] == ["window.seconds"]


def test_slos_come_and_go(new: Path) -> None:
    own = "disable: [merged_bins]\n  define: [{name: volume, metric: n, operator: '>=', fail: 60, window: 1h}]"
    changed(new, "merged_bins: {min_events: 400}", own)
    found = body()

    assert {one["slo"]: one["edit"] for one in found["slos"] if one["edit"] != "same"} == {
        "merged_bins": "removed",
        "volume": "added",
    }
    assert of(found, "merged_bins")["new"] is None
    assert of(found, "volume")["now"] is None
    assert of(found, "volume")["breaches"][0]["match"] == "only_new"
    told = run("backtest", "--config", new, *SPAN).stdout
    assert "merged_bins is no longer measured" in told
    assert "volume is new, with" in told
    assert "No difference: " in told


def test_a_severity_alone_changes_the_pages(new: Path) -> None:
    changed(new, "score_range: {window: 1h}", "score_range: {window: 1h, severity: info}")
    found = body("--slo", "score_range")

    assert not of(found, "score_range")["differs"]
    severities = [{one["severity"] for one in found["pages"][side]["incidents"]} for side in ("now", "new")]
    assert "emergency" in severities[0]
    assert "emergency" not in severities[1]


def test_slices_are_chosen_by_pattern(new: Path) -> None:
    changed(new, "p99_latency: {min_events: 20, window: 1h}", "p99_latency: {min_events: 5, window: 1h}")
    found = body("--slice", "intent=buy,*", "--slo", "p99_latency")

    assert {one["slice"].split(",")[0] for one in found["slos"][0]["slices"]} == {"intent=buy"}


def test_what_says_how_the_log_is_read_is_not_replayed(new: Path) -> None:
    changed(new, "home: state", "home: state\nlatency_limit_us: 500")
    found = body(code=0)

    assert any("latency_limit_us" in note and "Not replayed" in note for note in found["notes"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--from", LAST, "--to", FIRST), f"--to {FIRST} is before --from {LAST}"),
        (("--from", FIRST, "--to", "2999-01-01"), "lies in the future"),
        ((*SPAN, "--slo", "ece"), "did you mean 'ece_bound'?"),
        ((*SPAN, "--slice", "country=*"), "no slice that was measured"),
        (
            ("--from", "2026-02-03", "--to", "2026-02-04"),
            "no snapshots of 2026-02-03 to 2026-02-04; make them with `calslo",
        ),
        ((*SPAN, "--against", "old.yaml"), "old.yaml"),
    ],
)
def test_bad_usage_is_told_with_the_way_out(new: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run("backtest", "--config", new, *arguments)

    assert done.exit_code == 2
    assert words in done.output
    assert "Traceback" not in done.output


def test_bad_settings_are_told_by_line(new: Path) -> None:
    changed(new, "window: 1h}", "windw: 1h}")
    done = run("backtest", "--config", new, *SPAN)

    assert done.exit_code == 2
    assert "new.yaml:9" in done.output


def test_a_day_without_snapshots_is_named(new: Path) -> None:
    done = run("backtest", "--config", new, "--from", FIRST, "--to", f"{days_from(START, 3)[2]}")

    assert done.exit_code == 0
    assert f"There are no snapshots of {days_from(START, 3)[2]}; nothing was measured then." in done.stdout


def test_snapshots_that_were_rolled_up_are_too_coarse_for_short_windows(tmp_path: Path) -> None:
    quarters = SETTINGS.replace("evaluation_step: 1h", "evaluation_step: 15m")
    write(tmp_path / "log/a.parquet", traffic(hours=3).log)
    kept = "retention: {totals: 15d, panes: 15d, hours: 900d}\nlabel_horizon: 1d\n"
    project = project_at(tmp_path, quarters, extra=kept)
    with project.store:
        aggregate(project, days_from(START, 1))
        compact_snapshots(project, now=LATER + 30 * DAY)
    (tmp_path / "new.yaml").write_text(quarters, encoding="utf-8")

    done = run("backtest", "--config", "new.yaml", "--from", FIRST, "--to", FIRST)

    assert done.exit_code == 2
    assert "have been rolled up to wider buckets; begin later with --from" in done.output
