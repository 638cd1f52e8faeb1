"""Any window of any slice, from the partials that were in force when the snapshots were opened."""

from pathlib import Path

import numpy as np
import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import MOST_RECENT, snapshots_over
from calslo_dagster.slo.windows import Window, day_span
from calslo_dagster.sources.base import micros
from calslo_dagster_tests.logs import HOUR, LATER, SETTINGS, START, aggregate, events, traffic, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

TODAY = START.date()
SPAN = day_span(TODAY)


@pytest.fixture
def filled(project: Project, tmp_path: Path) -> Project:
    """Return a project with six hours of traffic."""
    write(tmp_path / "log/a.parquet", traffic(hours=6).log)
    aggregate(project, [TODAY])
    return project


def test_windows_add_up(filled: Project) -> None:
    with filled.engine() as connection:
        found = snapshots_over(filled, connection, SPAN)
        parts = [found.window(Window(START + n * HOUR, START + (n + 1) * HOUR)) for n in range(6)]
        whole = found.window(SPAN)

    for name, snapshot in whole.items():
        added = sum((part[name].totals for part in parts if name in part), np.zeros_like(snapshot.totals))
        np.testing.assert_array_equal(added, snapshot.totals)


def test_a_series_holds_what_windows_hold(filled: Project) -> None:
    window = Window(START + HOUR, START + 3 * HOUR)
    with filled.engine() as connection:
        found = snapshots_over(filled, connection, SPAN)
        cut = {name: s.window(micros(window.start), micros(window.end)) for name, s in found.series()}
        windows = found.window(window)

    assert set(windows) == {name for name, snapshot in cut.items() if snapshot.totals.any()}
    for name, snapshot in windows.items():
        np.testing.assert_array_equal(snapshot.totals, cut[name].totals)
        np.testing.assert_array_equal(snapshot.cells, cut[name].cells)


def test_what_is_kept_of_recent_windows_stays_small_and_is_read_once(filled: Project) -> None:
    with filled.engine() as connection:
        found = snapshots_over(filled, connection, SPAN)
        first = found.window(SPAN)
        assert found.window(SPAN) is first
        for n in range(2 * MOST_RECENT):
            found.window(Window(START + n * HOUR, START + (n + 1) * HOUR))

    assert len(filled.recent_windows) == MOST_RECENT


def test_newer_partials_are_another_window(filled: Project, tmp_path: Path) -> None:
    with filled.engine() as connection:
        before = snapshots_over(filled, connection, SPAN)
        count = before.window(SPAN)["*"].events
        write(tmp_path / "log/b.parquet", events([START]))
        aggregate(filled, [TODAY])
        after = snapshots_over(filled, connection, SPAN)

        assert before.window(SPAN)["*"].events == count
        assert after.window(SPAN)["*"].events == count + 1


def test_slices_are_seen_where_a_window_holds_them(filled: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/b.parquet", events([START + 5 * HOUR], intent="rare", language="en"))
    aggregate(filled, [TODAY])
    with filled.engine() as connection:
        found = snapshots_over(filled, connection, SPAN)
        for window in (SPAN, Window(START, START + HOUR), Window(START + 5 * HOUR, START + 6 * HOUR)):
            seen = found.seen(window)

            assert seen == set(found.window(window)) == found.seen(window)


def test_a_span_without_partials_holds_no_slice(project: Project) -> None:
    with project.engine() as connection:
        found = snapshots_over(project, connection, SPAN)

        assert found.window(SPAN) == {}
        assert list(found.series()) == []


def test_sources_add_up(tmp_path: Path, open_at: OpenProject) -> None:
    second = "  - {name: second, model: intent, paths: [other/]}\n"
    project = open_at(tmp_path, SETTINGS.replace("slos:\n", f"{second}slos:\n"))
    write(tmp_path / "log/a.parquet", events([START, START]))
    write(tmp_path / "other/a.parquet", events([START, START, START], intent="buy"))
    aggregate(project, [TODAY], LATER)

    with project.engine() as connection:
        found = snapshots_over(project, connection, SPAN).window(SPAN)
    assert {name: snapshot.events for name, snapshot in found.items()} == {
        "*": 5,
        "intent=%null,language=%null": 2,
        "intent=buy,language=%null": 3,
    }


def test_views_of_the_settings_are_read(tmp_path: Path, open_at: OpenProject) -> None:
    project = open_at(tmp_path, extra="slices: {columns: [intent, language], views: [[intent]]}\n")
    write(tmp_path / "log/a.parquet", events([START, START], intent=["buy", "search"], language="en"))
    aggregate(project, [TODAY])

    with project.engine() as connection:
        assert set(snapshots_over(project, connection, SPAN).window(SPAN)) == {"intent=buy", "intent=search"}
