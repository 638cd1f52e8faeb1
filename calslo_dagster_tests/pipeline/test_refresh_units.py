"""Units are checked once, and what was found of them is kept for as long as it counts."""

import os
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pytest

from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.refresh_units import Look, Units, refresh_units
from calslo_dagster.pipeline.spans import day_us
from calslo_dagster.slo.windows import DAY
from calslo_dagster.sources.base import Span
from calslo_dagster.store import source_units
from calslo_dagster.store.source_units import Role, UnitRecord
from calslo_dagster_tests.logs import HOUR, LATER, MINUTE, START, aggregate, days_from, events, write


def look(project: Project, now: datetime = LATER, window: Span | None = None) -> Units:
    (log,) = project.logs(now)
    with project.engine() as connection:
        return refresh_units(project, connection, log.events, Look(Role.EVENTS, now, window))


def records(project: Project) -> dict[str, UnitRecord]:
    with project.store.read() as session:
        return {record.unit: record for record in source_units.records(session, "serving", Role.EVENTS)}


def hour_of_log(hours: float, count: int = 3) -> pa.Table:
    return events([START + hours * HOUR + n * MINUTE for n in range(count)])


def test_a_new_file_is_checked_and_recorded(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", hour_of_log(1))

    found = look(project)

    ((unit, record),) = found.readable
    assert (unit.name, record.rows, list(record.hours.values())) == ("a.parquet", 3, [3])
    assert records(project) == {"a.parquet": record}
    assert (found.gone, found.errors, found.rejected) == ((), (), {})


def test_an_unchanged_file_is_not_read_again(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", hour_of_log(1))
    look(project, LATER)

    look(project, LATER + HOUR)

    assert records(project)["a.parquet"].seen_at == LATER


def test_a_changed_file_is_checked_again(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", hour_of_log(1))
    look(project)
    write(tmp_path / "log/a.parquet", hour_of_log(2, 5))

    ((_, record),) = look(project).readable

    assert record.rows == 5


def test_a_file_that_vanished_keeps_its_record(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", hour_of_log(1))
    write(tmp_path / "log/b.parquet", hour_of_log(2))
    look(project)
    (tmp_path / "log/a.parquet").unlink()

    for _ in range(2):
        found = look(project)

        assert [unit.name for unit, _ in found.present] == ["b.parquet"]
        assert [record.unit for record in found.gone] == ["a.parquet"]


def test_a_vanished_file_is_of_no_concern_to_other_days(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", hour_of_log(1))
    look(project)
    (tmp_path / "log/a.parquet").unlink()

    assert look(project, window=day_us((START + DAY).date())).gone == ()
    assert len(look(project, window=day_us(START.date())).gone) == 1


def test_a_renamed_file_is_the_same_file(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", hour_of_log(1))
    look(project)
    (tmp_path / "log/a.parquet").rename(tmp_path / "log/b.parquet")

    found = look(project)

    assert [unit.name for unit, _ in found.present] == ["b.parquet"]
    assert found.gone == ()
    assert list(records(project)) == ["b.parquet"]


def test_a_renamed_file_is_recognised_by_a_look_at_another_day_first(project: Project, tmp_path: Path) -> None:
    """The minute job looks at today only, and usually sees the new name before anything looks at the old day."""
    write(tmp_path / "log/a.parquet", hour_of_log(1))
    look(project)
    (tmp_path / "log/a.parquet").rename(tmp_path / "log/b.parquet")

    look(project, window=day_us((START + 5 * DAY).date()))

    assert look(project).gone == ()


def test_two_files_of_one_size_and_time_are_two_files(project: Project, tmp_path: Path) -> None:
    """Synchronised logs often have times in whole seconds, and shards of one size."""
    paths = [write(tmp_path / f"log/{name}.parquet", hour_of_log(hour)) for name, hour in (("a", 1), ("b", 2))]
    for path in paths:
        os.utime(path, ns=(0, 10**18))
    assert paths[0].stat().st_size == paths[1].stat().st_size
    look(project)
    paths[0].unlink()

    assert [record.unit for record in look(project).gone] == ["a.parquet"]


def test_an_unreadable_file_is_one_error_and_the_others_go_on(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", hour_of_log(1))
    (tmp_path / "log/b.parquet").write_bytes(b"no Parquet at all")

    found = look(project)

    assert [unit.name for unit, _ in found.readable] == ["a.parquet"]
    (error,) = found.errors
    assert "b.parquet" in error


def test_an_unreadable_file_counts_once_it_is_repaired(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "log/a.parquet"
    whole = write(path, hour_of_log(1)).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    assert look(project).readable == []
    path.write_bytes(whole)

    found = look(project)

    assert (len(found.readable), found.errors) == (1, ())


def test_an_unfinished_file_is_tried_at_every_look(project: Project, tmp_path: Path) -> None:
    path = write(tmp_path / "log/a.parquet", hour_of_log(1))
    path.write_bytes(path.read_bytes()[:-20])
    look(project, LATER)

    look(project, LATER + MINUTE)

    assert records(project)["a.parquet"].seen_at == LATER + MINUTE


def test_a_file_that_is_being_rewritten_takes_nothing_away(project: Project, tmp_path: Path) -> None:
    """A file that cannot be read for a moment has not lost its events: what was counted of it stays until it can."""
    path, days = tmp_path / "log/a.parquet", days_from(START, 1)
    whole = write(path, hour_of_log(1)).read_bytes()
    first = aggregate(project, days)
    path.write_bytes(whole[:-20])

    torn = aggregate(project, days)

    assert torn.errors
    assert torn.days[0].count("events") == first.days[0].count("events") == 3
    write(path, hour_of_log(1, 5))
    assert aggregate(project, days).days[0].count("events") == 5


@pytest.mark.parametrize("recompute", [False, True])
def test_a_rotated_log_stays_counted(project: Project, tmp_path: Path, recompute: bool) -> None:
    days = days_from(START, 1)
    path = write(tmp_path / "log/a.parquet", hour_of_log(1))
    aggregate(project, days)
    path.unlink()

    report = aggregate(project, days, recompute=recompute)

    assert report.days[0].count("events") == 3
    assert report.gone == ("a.parquet",)


def test_a_file_that_could_never_be_read_is_forgotten_with_its_error(project: Project, tmp_path: Path) -> None:
    path = tmp_path / "log/a.parquet"
    path.write_bytes(b"no Parquet at all")
    look(project)
    path.unlink()

    assert look(project) == Units((), ())
    assert records(project) == {}
