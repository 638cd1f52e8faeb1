"""`calslo table` prints the calibration table of any slice from the snapshots that are there."""

import json
from pathlib import Path

import pytest

from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.logs import HOUR, SETTINGS, START, aggregate, days_from, events, project_at, traffic, write

DAY = f"{START:%Y-%m-%d}"
NEXT = f"{days_from(START, 2)[1]}"
BUY = "intent=buy,language=de"


def aggregated(folder: Path, *, extra: str = "", days: int = 2) -> None:
    """Bring the snapshots of the log in the folder up to date."""
    project = project_at(folder, SETTINGS, extra=extra)
    with project.store:
        aggregate(project, days_from(START, days))


@pytest.fixture
def filled(tmp_path: Path) -> Path:
    """Return a project's folder with thirty hours of traffic, which is the working directory."""
    write(tmp_path / "log/a.parquet", traffic(hours=30).log)
    aggregated(tmp_path)
    return tmp_path


def body(*arguments: str) -> dict[str, object]:
    done = run("table", *arguments, "--format", "json")
    assert done.exit_code == 0, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return found


def test_every_slice_has_a_table_of_the_newest_day_unless_told(filled: Path) -> None:
    whole, one = body(), body("--slice", BUY)

    assert (whole["slice"], whole["from"], whole["to"]) == ("*", NEXT, NEXT)
    assert one["slice"] == BUY
    bins = one["bins"]
    assert isinstance(bins, list)
    assert list(bins[0]) == [
        *("lower", "upper", "events", "mean_score", "observed", "low", "high", "gap", "is_consistent")
    ]
    assert bins[0]["gap"] == pytest.approx(bins[0]["mean_score"] - bins[0]["observed"])


def test_days_are_added_up(filled: Path) -> None:
    def labelled(*arguments: str) -> int:
        bins = body(*arguments)["bins"]
        assert isinstance(bins, list)
        return sum(int(one["events"]) for one in bins)

    both = labelled("--from", DAY, "--to", NEXT)

    assert both == pytest.approx(labelled("--to", DAY) + labelled("--to", NEXT), abs=15)


def test_a_person_reads_a_line_for_each_bin(filled: Path) -> None:
    done = run("table", "--slice", BUY, "--to", DAY)

    lines = done.stdout.splitlines()
    assert lines[0].startswith(f"Calibration of {BUY}, {DAY} to {DAY} (UTC)")
    assert lines[1].split() == ["bin", "labelled", "events", "mean", "score", "observed", "95", "%", "interval", "gap"]
    assert len(lines) > 5
    assert all(" to " in line for line in lines[2:])


def test_what_was_not_fitted_is_told(tmp_path: Path) -> None:
    fitted = {"version": "v1", "model": "intent", "edges": [0, 0.5, 1], "fit_counts": [10, 0], "mask_id": "m1"}
    (tmp_path / "manifests.json").write_text(json.dumps({"manifests": [fitted]}), encoding="utf-8")
    columns = {"calibrator_version": "v1", "mask_id": "m2", "label": 1}
    write(tmp_path / "log/a.parquet", events([START, START + HOUR], score=0.9, **columns))
    aggregated(tmp_path, extra="manifests: [manifests.json]\n", days=1)

    told, found = run("table").stdout, body()

    assert "v1, 0.5 to 1: traffic without fit, 0 events at fit and 2 now" in told
    assert "v1, 0 to 0.5: fit without traffic, 10 events at fit and 0 now" in told
    assert "2 events carry a mask other than the one of their version's manifest" in told
    assert found["mask"] == {"matching": 0, "foreign": 2, "unchecked": 0}
    supports = found["support"]
    assert isinstance(supports, dict)
    assert [one["support"] for one in supports["v1"]] == ["fit without traffic", "traffic without fit"]


def test_events_without_labels_make_no_table(tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))
    aggregated(tmp_path, days=1)

    assert run("table").stdout == f"Calibration of *, {DAY} to {DAY} (UTC): no event has a label yet.\n"
    assert body()["bins"] == []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--slice", "intent=bye,language=de"), "did you mean 'intent=buy,language=de'?"),
        (("--from", NEXT, "--to", DAY), f"--to {DAY} is before --from {NEXT}"),
        (("--to", "2026-01-02"), "run `calslo backfill --from 2026-01-02 --to 2026-01-02`"),
        (("--to", "soon"), "'soon' does not match the format"),
    ],
)
def test_what_cannot_be_shown_is_told(filled: Path, arguments: tuple[str, ...], says: str) -> None:
    done = run("table", *arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_store_that_is_empty_or_not_there_is_told(tmp_path: Path) -> None:
    (tmp_path / "calslo.yaml").write_text(SETTINGS, encoding="utf-8")
    assert "calslo db upgrade" in run("table").stderr

    aggregated(tmp_path, days=1)

    done = run("table")
    assert done.exit_code == 2
    assert "there are no snapshots yet" in done.stderr
