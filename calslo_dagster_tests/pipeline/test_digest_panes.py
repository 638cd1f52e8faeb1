"""The digest of a window follows the events and labels in it, however they lie in partials."""

from pathlib import Path

import pytest

from calslo_dagster.pipeline.compact_snapshots import compact_snapshots
from calslo_dagster.pipeline.digest_panes import DigestedPanes, digest_panes
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.slo.windows import DAY, Window, day_span
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    MINUTE,
    START,
    aggregate,
    between,
    days_from,
    events,
    in_force,
    labels,
    minutes,
    traffic,
    write,
)

TODAY = START.date()
SPAN = day_span(TODAY)
QUARTER = 15 * MINUTE
AT = START + 10 * HOUR
# The quarter of an hour of the event, and those beside it.
PANE, BEFORE, AFTER = (Window(at, at + QUARTER) for at in (AT, AT - QUARTER, AT + QUARTER))
KNOWN = {"intent": "buy", "language": "en"}


def digested(project: Project, span: Window = SPAN) -> DigestedPanes:
    with project.engine() as connection:
        return digest_panes(snapshots_over(project, connection, span))


TIMES = list(minutes(START, SPAN.end, 5 * MINUTE))


@pytest.fixture
def filled(project: Project, tmp_path: Path) -> Project:
    """Return a project with an event each five minutes, all of one slice."""
    write(tmp_path / "log/a.parquet", events(TIMES, prediction_id=[str(at) for at in TIMES], **KNOWN))
    aggregate(project, [TODAY])
    return project


def test_a_late_event_changes_the_facts_of_its_quarter_of_an_hour(filled: Project, tmp_path: Path) -> None:
    before = digested(filled)
    write(tmp_path / "log/late.parquet", events([AT + MINUTE], **KNOWN))
    aggregate(filled, [TODAY])
    after = digested(filled)

    assert before.facts_of(PANE) != after.facts_of(PANE)
    assert before.slices_of(SPAN) == after.slices_of(SPAN)
    for other in (BEFORE, AFTER, Window(START, AT), Window(AT + QUARTER, SPAN.end)):
        assert before.facts_of(other) == after.facts_of(other)
    for longer in (SPAN, Window(START, AT + QUARTER), Window(AT, SPAN.end)):
        assert before.facts_of(longer) != after.facts_of(longer)


def test_a_late_event_of_another_slice_changes_the_slices(filled: Project, tmp_path: Path) -> None:
    before = digested(filled)
    write(tmp_path / "log/late.parquet", events([AT + MINUTE], intent="sell", language="en"))
    aggregate(filled, [TODAY])
    after = digested(filled)

    assert before.slices_of(PANE) != after.slices_of(PANE)
    for other in (BEFORE, AFTER):
        assert before.slices_of(other) == after.slices_of(other)


def test_a_late_label_changes_the_facts_and_not_the_slices(filled: Project, tmp_path: Path) -> None:
    before = digested(filled)
    write(tmp_path / "labels/a.parquet", labels([str(AT)], at=LATER, of=[AT]))
    aggregate(filled, [TODAY])
    after = digested(filled)

    assert before.facts_of(PANE) != after.facts_of(PANE)
    for other in (BEFORE, AFTER):
        assert before.facts_of(other) == after.facts_of(other)
    assert before.slices_of(SPAN) == after.slices_of(SPAN)


def test_another_day_changes_nothing(filled: Project, tmp_path: Path) -> None:
    both = Window(START, START + 2 * DAY)
    before = digested(filled, both)
    write(tmp_path / "log/b.parquet", events([START + DAY]))
    aggregate(filled, days_from(START, 2))
    after = digested(filled, both)

    assert before.facts_of(SPAN) == after.facts_of(SPAN)
    assert before.slices_of(SPAN) == after.slices_of(SPAN)


def test_merging_the_hours_of_a_day_changes_nothing(project: Project, tmp_path: Path) -> None:
    made = traffic(hours=24)
    write(tmp_path / "log/a.parquet", made.log)
    write(tmp_path / "labels/a.parquet", between(made.labels, START, START + DAY, "label_time"))
    aggregate(project, [TODAY], START + DAY)
    before, hours = digested(project), len(in_force(project))

    assert compact_snapshots(project, now=LATER)["days_compacted"] == 1

    assert len(in_force(project)) < hours
    assert digested(project) == before


def test_reading_a_day_again_changes_nothing(filled: Project) -> None:
    before = digested(filled)
    aggregate(filled, [TODAY], recompute=True)

    assert digested(filled) == before


def test_a_span_without_events_has_no_panes(project: Project) -> None:
    assert digested(project) == DigestedPanes((), (), ())
    assert digested(project).facts_of(SPAN) == digested(project).facts_of(PANE)
