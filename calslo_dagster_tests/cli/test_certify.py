"""`calslo slos certify` prints the certificates and refuses by its exit code."""

import json
from pathlib import Path

from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.logs import SETTINGS, START, aggregate, days_from, project_at, traffic, write

BRIEF = ("--months", "0.1", "--slices", "1")


def settings(text: str) -> None:
    Path("calslo.yaml").write_text(text)


def test_a_sound_slo_is_told_with_what_it_sees() -> None:
    done = run("slos", "certify", "clamp_activation", *BRIEF)

    assert done.exit_code == 0, done.output
    assert "traffic is assumed" in done.stderr
    assert "0.7 x limit" in done.stdout
    assert "clamp_activation: " in done.stdout
    assert "over 1 slice, sound" in done.stdout


def test_a_noisy_one_is_refused_with_the_number_to_write() -> None:
    settings("slos: {ece_bound: {parameters: {c: 0.2, floor: 0.001}}}\n")

    done = run("slos", "certify", "ece_bound", *BRIEF, "--format", "json")
    body = json.loads(done.stdout)

    assert done.exit_code == 1
    assert body["certificates"][0]["remedy"] == "write c: 0.55"
    (found,) = body["certificates"]
    assert list(found) == [
        *(
            "slo",
            "slice",
            "slices",
            "mode",
            "is_assumed",
            "labeled_per_day",
            "kept",
            "false_breaches_per_month",
            "seen",
        ),
        *("standing", "reason", "remedy"),
    ]
    assert list(found["kept"][0]) == [
        *("while", "decides", "predicted", "method", "simulated", "low", "high", "months", "windows_past_limit")
    ]
    assert list(body["fleets"][0]) == ["slo", "slices", "false_breaches_per_month", "budget", "standing"]


def test_own_slices_are_named_where_there_are_snapshots(tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", traffic(hours=50).log)
    project = project_at(tmp_path, SETTINGS)
    with project.store:
        aggregate(project, days_from(START, 3))

    done = run("slos", "certify", "p99_latency", "ece_bound", "--months", "0.1")

    assert done.exit_code == 1, done.output
    assert "assumed" not in done.stderr
    # Two events an hour are not the twenty that a verdict needs.
    assert "blind: p99_latency of intent=buy,language=%null: hardly a window is judged" in done.stdout
    assert "ece_bound  " in done.stdout
    assert "mode: evidence" in done.stdout


def test_an_unknown_name_is_bad_usage() -> None:
    done = run("slos", "certify", "ecebound")

    assert done.exit_code == 2
    assert "ece_bound" in done.stderr
