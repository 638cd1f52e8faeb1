"""What a person sees beside a materialization: the definition in words, and the tables of the slices that matter."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest

from calslo_dagster.defs.metadata import MOST_TABLES, of_definition, of_drift, of_tables, of_trends
from calslo_dagster.pipeline.project_trends import TrendReport
from calslo_dagster.pipeline.read_standing import breached_slices
from calslo_dagster.pipeline.report_drift import report_drift
from calslo_dagster.pipeline.tabulate_calibration import tabulate_calibration
from calslo_dagster.slo.breach import Episode
from calslo_dagster.slo.registry import recipes
from calslo_dagster.slo.slice_trends import Quantity, Subject, slice_trends
from calslo_dagster.slo.windows import DAY, WEEK
from calslo_dagster.stats.trend import PAST, Direction, Trend
from calslo_dagster.store import breaches
from calslo_dagster.store.breaches import Breach
from calslo_dagster_tests.logs import HOUR, START, aggregate, days_from, events, project_at, traffic, write


def breach(slo: str, slice_name: str, onset: datetime, end: datetime | None = None) -> Breach:
    """Return a breach that goes on unless it has an end."""
    episode = Episode(f"{slo}:{slice_name}", slo, slice_name, "", onset, onset + HOUR, opened_at=onset + HOUR)
    return Breach.of(replace(episode, recovery=end, closed_at=end), 0.1)


@pytest.mark.parametrize(
    ("name", "promise"),
    [
        ("ece_bound", "at most 0.015, or a limit computed for each window if that is wider"),
        ("clamp_activation", "at most 10 %"),
        ("p99_latency", "below 1,000 us"),
    ],
)
def test_a_computed_limit_is_told_as_such(name: str, promise: str) -> None:
    assert of_definition(recipes()[name].slo, None)["objective"] == promise


def test_the_dashboard_is_linked_where_there_is_one() -> None:
    slo = recipes()["ece_bound"].slo

    assert "dashboard" not in of_definition(slo, None)
    assert of_definition(slo, "https://calslo.example/")["dashboard"].value == "https://calslo.example/slos/ece_bound"


def test_the_tables_of_breached_slices_are_shown_with_those_of_everything_and_of_the_worst(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    write(tmp_path / "log/a.parquet", traffic(hours=20).log)
    today = START.date()
    aggregate(project, [today])
    slow, off, over = "intent=buy,language=de", "intent=search,language=de", "intent=search,language=en"
    with project.store:
        with project.store.write() as session:
            breaches.replace_since(session, "p99_latency", [breach("p99_latency", slow, START)], since=START)
            breaches.replace_since(session, "ece_bound", [breach("ece_bound", off, START + HOUR)], since=START)
            gone = breach("ece_bound", over, START - 9 * HOUR, START - HOUR)
            breaches.replace_since(session, "merged_bins", [gone], since=START - 10 * HOUR)
        found = breached_slices(project, [today])
        tables = tabulate_calibration(project, [today])

    shown = [name.removeprefix("bins of ") for name in of_tables(tables, found) if name.startswith("bins of ")]

    assert found == (off, slow)
    assert shown[:3] == ["*", off, slow]
    assert set(shown[3:]) <= {table.slice for table in tables[:3]}


def test_trends_are_told_worst_first_and_in_words() -> None:
    rows = tuple(
        row
        for name, trend in (
            ("a", Trend(3, "too little data")),
            ("b", Trend(9, PAST, Direction.DEGRADING, 0.9, p_month=1.0)),
        )
        for row in slice_trends(Subject("ece_bound", START.date(), name), {Quantity.SHIFT: (trend, (-0.1, 0.1))})
    )

    shown = of_trends(TrendReport(START.date(), rows, len(rows)))

    assert (shown["slices_projected"], shown["degrading"], shown["unknown"]) == (2, 1, 1)
    assert [line[:4] for line in str(shown["worst_first"].value).splitlines()[2:]] == ["| b ", "| a "]
    assert "b: degrading (90 %), already past the limit" in str(shown["heading"].value)
    assert shown["heading_as_of"] == START.date().isoformat()
    assert of_trends(TrendReport(START.date(), (), 0, "switched off"))["worst_first"].value == "switched off"


def test_the_number_of_tables_is_bounded(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    names = [f"i{n:03}" for n in range(40)]
    write(tmp_path / "log/a.parquet", events([START] * 40, intent=names, label=1))
    with project.store:
        aggregate(project, [START.date()])
        tables = tabulate_calibration(project, [START.date()])

    shown = of_tables(tables, [table.slice for table in tables])

    assert len([name for name in shown if name.startswith("bins of ")]) == MOST_TABLES
    assert "bins of *" in shown
    assert "p-value of calibration" in shown["slices"].md_str
    assert tables[0].p_value is not None
    assert str(shown["other_slices"]).startswith("Also breached: i")
    assert str(shown["other_slices"]).endswith("calslo table --slice NAME prints the table of any slice.")


def test_the_drift_of_a_week_is_told_in_sentences_and_tables(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    write(tmp_path / "log/a.parquet", traffic(hours=60).log)
    monday = START - START.weekday() * DAY + WEEK
    with project.store:
        aggregate(project, days_from(START, 3))
        shown = of_drift(report_drift(project, [monday]))

    texts = {name: str(getattr(value, "value", value)) for name, value in shown.items()}
    counted = sum(int(texts[f"verdict_{verdict}"]) for verdict in ("breached", "warning", "unknown", "meeting"))
    assert texts["what_moved"].startswith(f"- Of {counted} changes: ")
    assert "- The Brier score " in texts["what_moved"]
    assert texts["worst_first"].startswith("| slice | metric | verdict | before | now | change | 95 % interval |")
    assert "| slice | metric | change | outcomes | scores | mix of slices | labels |" in texts["why"]
    assert "| slice | PSI | Jensen-Shannon | Kolmogorov-Smirnov |" in texts["scores_moved"]
