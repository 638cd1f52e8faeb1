"""Calibration tables of each slice, those that left what was fitted first."""

import json
from pathlib import Path

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.tabulate_calibration import tabulate_calibration
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster_tests.logs import HOUR, START, aggregate, days_from, events, traffic, windows, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

TODAY = START.date()


def test_every_slice_of_the_days_has_a_table(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", traffic(hours=30).log)
    days = days_from(START, 2)
    aggregate(project, days)

    tables = {table.slice: table for table in tabulate_calibration(project, days)}

    found = windows(project, Window(START, START + 2 * DAY))
    assert set(tables) == set(found)
    for name, table in tables.items():
        # Equal-mass bins cut through cells, and each shows a rounded number of events.
        assert abs(sum(one.events for one in table.bins) - found[name].labeled) <= len(table.bins) / 2


def test_events_beyond_the_fit_come_first(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra="manifests: [manifests.json]\n")
    fitted = {"version": "v1", "model": "intent", "edges": [0, 0.5, 1], "fit_counts": [10, 0], "mask_id": "m1"}
    (tmp_path / "manifests.json").write_text(json.dumps({"manifests": [fitted]}))
    columns = {"calibrator_version": "v1", "mask_id": "m1", "language": "en", "label": 1}
    write(tmp_path / "log/a.parquet", events([START] * 3, intent="low", score=0.2, **columns))
    write(tmp_path / "log/b.parquet", events([START + HOUR] * 3, intent="high", score=0.9, **columns))
    aggregate(project, [TODAY])

    tables = tabulate_calibration(project, [TODAY])

    assert [table.unsupported for table in tables] == sorted((t.unsupported for t in tables), reverse=True)
    assert tables[-1].slice == "intent=low,language=en"
    assert [(one.lower, one.upper, one.events) for one in tables[-1].bins] == [(0.0, 0.5, 3), (0.5, 1.0, 0)]


def test_days_without_events_have_no_tables(project: Project) -> None:
    assert tabulate_calibration(project, [TODAY]) == []
