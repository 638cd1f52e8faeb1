"""Each view says what is stored, and nothing that is unknown looks met."""

import json
from typing import Any

import pytest

from calslo_dagster.errors import ExportError
from calslo_dagster.exports.render import Format, rendered
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_board import read_board
from calslo_dagster.pipeline.tabulate_calibration import tabulate_calibration
from calslo_dagster.pipeline.views.compose import compose, export
from calslo_dagster.pipeline.views.wanted import View, Wanted, file_name
from calslo_dagster.reporting.document import Document, Table
from calslo_dagster.reporting.states import State
from calslo_dagster.slo.model import Verdict
from calslo_dagster.store import breaches, drift, measurements, slo_days
from calslo_dagster_tests.exports.test_render import pdf_text, squeezed
from calslo_dagster_tests.logs import LATER, START, project_at


def shown(project: Project, view: View, **filters: Any) -> Document:
    return compose(project, Wanted(view, **filters), now=LATER)


def rows_of(document: Document, key: str = "") -> list[dict[str, Any]]:
    """Return a table as programs read it, from the JSON file."""
    table = document.table(key)
    assert isinstance(table, Table)
    every = json.loads(rendered(document, Format.JSON))["sections"]
    [found] = [one for section in every for one in section["tables"] if one["key"] == table.key]
    assert isinstance(found["rows"], list)
    return found["rows"]


@pytest.mark.parametrize("view", View)
@pytest.mark.parametrize("form", Format)
def test_every_view_is_written_in_every_format_twice_alike(seen: Project, view: View, form: Format) -> None:
    wanted = Wanted(view, slo="ece_bound" if view is View.SLO else "")

    first = export(seen, wanted, form, now=LATER)

    assert first == export(seen, wanted, form, now=LATER)
    assert file_name(wanted, form).startswith(f"calslo-{view}")


def test_the_overview_is_the_board(seen: Project) -> None:
    document, board = shown(seen, View.OVERVIEW), read_board(seen, now=LATER)

    told = [(row["slo"], row["slice"], row["state"], row["value"], row["reason"]) for row in rows_of(document)]
    assert told == [(c.slo, c.slice, c.state.value, c.value, c.reason) for c in board.cards]
    assert document.as_of == board.evaluated_at
    assert len(rows_of(shown(seen, View.OVERVIEW, slo="ece_bound", slice="intent=*"))) == 2
    one_state = rows_of(shown(seen, View.OVERVIEW, states=frozenset({State.STALE})))
    assert {row["state"] for row in one_state} <= {"stale"}


def test_the_view_of_an_slo_has_its_windows_breaches_and_bins(seen: Project) -> None:
    document = shown(seen, View.SLO, slo="score_range")
    rows = rows_of(document)

    with seen.store.read() as session:
        stored = measurements.between(session, "score_range", start=START.replace(day=1), end=LATER, slice_name="*")
        found = [one for one in breaches.between(session, start=START.replace(day=1), end=LATER) if one.slice == "*"]
    by_end = {f"{row.window_end:%Y-%m-%dT%H:%M:%SZ}": row for row in stored}
    assert {row["window_end"] for row in rows} <= by_end.keys()
    assert all(row["value"] == by_end[row["window_end"]].value for row in rows)
    assert all(row["verdict"] == by_end[row["window_end"]].verdict for row in rows)
    assert [row["id"] for row in rows_of(document, "breaches")] == [
        one.id for one in reversed(found) if one.slo == "score_range"
    ]
    assert "reliability" in {section.key for section in shown(seen, View.SLO, slo="ece_bound").sections}
    assert "reliability" not in {section.key for section in document.sections}


def test_an_slo_or_slice_that_there_is_not_is_refused_with_the_nearest(seen: Project) -> None:
    with pytest.raises(ExportError, match="ece_bound"):
        shown(seen, View.SLO, slo="ece_bond")
    with pytest.raises(ExportError, match="not measured on 'language=xx'"):
        shown(seen, View.SLO, slo="ece_bound", slice="language=xx")


def test_calibration_tables_are_those_of_the_slices(seen: Project) -> None:
    document = shown(seen, View.CALIBRATION, days=3)

    assert document.as_of is not None
    days = [(document.as_of - n * (LATER - LATER.replace(day=19))).date() for n in range(1, 4)]
    tables = tabulate_calibration(seen, days)
    assert [row["slice"] for row in rows_of(document)] == [table.slice for table in tables]
    assert [row["inconsistent"] for row in rows_of(document)] == [table.inconsistent for table in tables]
    assert [row["slice"] for row in rows_of(shown(seen, View.CALIBRATION, slice="intent=buy"))] == ["intent=buy"]


def test_drift_is_what_the_weekly_report_stored(seen: Project) -> None:
    document = shown(seen, View.DRIFT)

    with seen.store.read() as session:
        last = drift.last_week(session)
        assert last is not None
        stored = {(row.slice, row.metric): row for row in drift.of_week(session, last)}
    rows = rows_of(document, "movers")
    assert rows
    for row in rows:
        found = stored[row["slice"], row["metric"]]
        assert (row["verdict"], row["delta"], row["low"]) == (found.verdict, found.delta, found.low)
    for row in rows_of(document, "causes"):
        parts = sum(row[name] for name in ("mix", "scores", "outcome", "coverage"))
        assert parts == pytest.approx(row["delta"], abs=1e-12)


def test_a_report_counts_the_windows_of_its_period(seen: Project) -> None:
    document = shown(seen, View.REPORT, period="2026-W10")

    with seen.store.read() as session:
        counts = slo_days.added(
            session, "score_range", first=START.date().replace(day=2), last=START.date().replace(day=8)
        )
    [row] = [row for row in rows_of(document, "slos") if row["slo"] == "score_range"]
    assert row["bad"] == sum(by.get(Verdict.BREACHED, 0) for by in counts.values())
    assert row["slices"] == len(counts)
    assert row["kept"] + row["broken"] + row["undetermined"] == len(counts)
    assert document.state == "breached"
    assert document.as_of == START.replace(day=9)


def test_a_report_of_a_period_that_is_not_over_or_none_is_refused(seen: Project) -> None:
    with pytest.raises(ExportError, match="not over before 2026-04-01"):
        shown(seen, View.REPORT, period="2026-03")
    with pytest.raises(ExportError, match="write a week such as"):
        shown(seen, View.REPORT, period="march")


def test_a_report_of_a_period_without_measurements_is_not_green(seen: Project) -> None:
    document = shown(seen, View.REPORT, period="2026-02")

    assert document.state == "never"
    assert "nothing was measured" in document.lead[0]


def test_the_audit_log_is_told_as_whole(seen: Project) -> None:
    document = shown(seen, View.AUDIT, days=400)

    assert "is whole" in document.lead[0]
    assert {"opened"} <= {row["kind"] for row in rows_of(document)}


def test_the_settings_show_no_secret(seen: Project) -> None:
    lines = [row["line"] for row in rows_of(shown(seen, View.SETTINGS), "lines")]

    assert any("history_start" in line for line in lines)
    assert [row["slo"] for row in rows_of(shown(seen, View.SETTINGS))] == list(seen.registry.names)


@pytest.mark.parametrize("view", View)
def test_an_empty_store_is_said_to_be_empty_and_is_not_green(view: View, tmp_path: Any) -> None:
    project = project_at(tmp_path)
    with project.store:
        document = shown(project, view, slo="ece_bound" if view is View.SLO else "")

    states = {cell.state for table in document.tables for row in table.rows for cell in row} | {document.state}
    assert "meeting" not in states
    assert "healthy" not in states
    assert rendered(document, Format.PDF)


def test_the_printed_report_holds_every_number(seen: Project) -> None:
    document = shown(seen, View.REPORT, period="2026-W10")
    found = pdf_text(rendered(document, Format.PDF))

    assert [line for line in document.texts if squeezed(line) not in found] == []
