"""Which partials a day consists of: its hours while it lasts, one of the whole once it is over, labels beside them."""

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.engine.connect import connect
from calslo_dagster.pipeline.plan_labels import batch_key
from calslo_dagster.pipeline.plan_partials import Day, listed_partials, swap_partials
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.refresh_units import NO_UNITS, Look, refresh_units
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store.partials import Kind, Partial
from calslo_dagster.store.source_units import Role
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    MINUTE,
    START,
    aggregate,
    days_from,
    events,
    facts,
    in_force,
    labels,
    of_day,
    snapshots,
    traffic,
    write,
)
from calslo_dagster_tests.pipeline.conftest import OpenProject

TODAY = START.date()
OPEN = START + 6 * HOUR


def spans(found: tuple[Partial, ...], kind: Kind = Kind.EVENT) -> list[timedelta]:
    return [timedelta(microseconds=p.span_end_us - p.span_start_us) for p in found if p.kind is kind]


def planned(project: Project, now: datetime = LATER) -> Day:
    (log,) = project.logs(now)
    current = listed_partials(project, log.name, TODAY)
    connection = connect(project.settings.engine_settings())
    found = refresh_units(project, connection, log.events, Look(Role.EVENTS, now))
    return Day(project, connection, log, TODAY, now, found, NO_UNITS, current=current, recompute=False)


def written(project: Project) -> set[Path]:
    return {path for path in project.partials.rglob("*.parquet") if path.is_file()}


def labeled(project: Project) -> int:
    return sum(found.labeled for name, found in snapshots(project, TODAY).items() if name == "*")


def test_the_hours_of_a_day_that_lasts_are_apart(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", traffic(hours=6).log)

    aggregate(project, [TODAY], OPEN)

    assert spans(of_day(project, TODAY)) == [HOUR] * 6


def test_a_day_that_is_over_is_one_partial(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", traffic(hours=4).log)

    aggregate(project, [TODAY], START + DAY + 3 * HOUR)

    assert spans(of_day(project, TODAY)) == [DAY]


def test_the_hours_of_a_day_stay_apart_until_compaction(project: Project, tmp_path: Path) -> None:
    """The minute job brings yesterday up to date; reading all of it again just after midnight would take its minute."""
    write(tmp_path / "log/a.parquet", traffic(hours=4).log)
    aggregate(project, [TODAY], OPEN)
    before = written(project)

    aggregate(project, days_from(START + DAY, 1), START + DAY + 3 * HOUR)

    assert set(spans(of_day(project, TODAY))) == {HOUR}
    assert written(project) == before


def test_recomputing_a_day_that_is_over_puts_one_partial_in_the_place_of_its_hours(
    project: Project, tmp_path: Path
) -> None:
    write(tmp_path / "log/a.parquet", traffic(hours=4).log)
    aggregate(project, [TODAY], OPEN)
    before = facts(project)

    aggregate(project, [TODAY], recompute=True)

    assert spans(of_day(project, TODAY)) == [DAY]
    assert facts(project) == before


def test_what_did_not_change_is_not_written_again(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", traffic(hours=3).log)
    aggregate(project, [TODAY], OPEN)
    before = in_force(project)

    report = aggregate(project, [TODAY], OPEN + MINUTE)

    assert report.written == 0
    assert in_force(project) == before


def test_a_new_event_touches_its_hour_only(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", traffic(hours=3).log)
    aggregate(project, [TODAY], OPEN)
    write(tmp_path / "log/b.parquet", events([START + 90 * MINUTE]))

    assert aggregate(project, [TODAY], OPEN).written == 1


def test_recomputing_writes_the_same_bytes(project: Project, tmp_path: Path) -> None:
    made = traffic(hours=4)
    write(tmp_path / "log/a.parquet", made.log)
    write(tmp_path / "labels/a.parquet", made.labels)
    aggregate(project, [TODAY])
    before = [(p.path, p.content_digest) for p in in_force(project)]

    aggregate(project, [TODAY], recompute=True)

    assert [(p.path, p.content_digest) for p in in_force(project)] == before


def test_a_day_without_events_has_no_partials(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))

    assert aggregate(project, days_from(START + DAY, 1)).written == 1
    assert of_day(project, (START + DAY).date()) == ()


def test_events_that_a_replaced_file_no_longer_holds_are_no_longer_counted(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START, START + HOUR]))
    aggregate(project, [TODAY])
    write(tmp_path / "log/a.parquet", events([START + HOUR]))

    report = aggregate(project, [TODAY])

    assert report.days[0].count("events") == 1


def test_a_replaced_file_may_leave_a_day_empty(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))
    aggregate(project, [TODAY])
    write(tmp_path / "log/a.parquet", events([START + DAY]))

    assert aggregate(project, [TODAY]).days[0].count("events") == 0


def test_a_lost_hour_of_a_day_that_lasts_keeps_its_events(project: Project, tmp_path: Path) -> None:
    first = write(tmp_path / "log/a.parquet", events([START, START + MINUTE]))
    aggregate(project, [TODAY], OPEN)
    first.unlink()
    write(tmp_path / "log/b.parquet", events([START + HOUR]))

    report = aggregate(project, [TODAY], OPEN)

    assert report.days[0].count("events") == 3


def test_a_changed_reading_counts_everything_again(tmp_path: Path, open_at: OpenProject) -> None:
    write(tmp_path / "log/a.parquet", events([START], latency_us=1_500.0))
    aggregate(open_at(tmp_path), [TODAY])
    project = open_at(tmp_path, extra="latency_limit_us: 2000\n")

    assert aggregate(project, [TODAY]).written == 1
    assert snapshots(project, TODAY)["*"].count("n_slow") == 0


def test_labels_lie_in_partials_of_their_own(project: Project, tmp_path: Path) -> None:
    times = [START, START + HOUR]
    write(tmp_path / "log/a.parquet", events(times, prediction_id=["p0", "p1"]))
    aggregate(project, [TODAY], OPEN)
    write(tmp_path / "labels/a.parquet", labels(["p1"], at=OPEN, of=times[1:]))

    report = aggregate(project, [TODAY], OPEN)

    assert spans(of_day(project, TODAY), Kind.LABEL) == [HOUR]
    assert report.written == 1
    assert (report.days[0].count("pending"), report.days[0].count("labels"), labeled(project)) == (2, 1, 1)


def test_a_batch_without_labels_for_an_hour_is_noted_and_not_read_again(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START]))
    write(tmp_path / "labels/a.parquet", labels(["somebody else"], at=OPEN))
    aggregate(project, [TODAY], OPEN)

    assert [p.path for p in of_day(project, TODAY) if p.kind is Kind.LABEL] == [""]
    assert aggregate(project, [TODAY], OPEN + MINUTE).written == 0


@pytest.mark.parametrize(
    ("policy", "times", "winner"), [("first", (2, 1), 1), ("last", (1, 2), 1), ("last", (1, 1), 0)]
)
def test_which_label_counts_is_decided_by_when_it_was_written_and_not_by_its_batch(
    *, tmp_path: Path, open_at: OpenProject, policy: str, times: tuple[int, int], winner: int
) -> None:
    """Of two at one time the smaller counts, because nothing else but the names of files tells them apart."""
    found = set[float]()
    for names in (("1", "2"), ("2", "1")):
        folder = tmp_path / names[0]
        project = open_at(folder, extra=f"label_policy: {policy}\n")
        write(folder / "log/a.parquet", events([START], prediction_id="p", score=1.0))
        for name, label, time in zip(names, (0, 1), times, strict=True):
            write(folder / f"labels/{name}.parquet", labels(["p"], label, at=OPEN + time * MINUTE))
            aggregate(project, [TODAY])
            assert snapshots(project, TODAY)["*"].labeled == 1
        found.add(snapshots(project, TODAY)["*"].total("wy_lab"))

    assert found == {float(winner)}


def test_labels_without_the_time_of_their_event_are_found_in_any_hour(project: Project, tmp_path: Path) -> None:
    """Also where other labels of the batch do tell it."""
    times = [START, START + 5 * HOUR]
    write(tmp_path / "log/a.parquet", events(times, prediction_id=["p0", "p1"]))
    mixed = labels(["p0", "p1"], at=OPEN, of=times).to_pylist()
    mixed[1]["event_time"] = None
    write(tmp_path / "labels/a.parquet", labels([], at=OPEN).from_pylist(mixed, schema=labels([], at=OPEN).schema))

    aggregate(project, [TODAY], OPEN)

    assert labeled(project) == 2


@pytest.mark.parametrize("policy", ["first", "last"])
def test_labels_of_a_rotated_batch_stay_counted(tmp_path: Path, open_at: OpenProject, policy: str) -> None:
    project = open_at(tmp_path, extra=f"label_policy: {policy}\n")
    made = traffic(hours=6)
    write(tmp_path / "log/a.parquet", made.log)
    half = made.labels.num_rows // 2
    write(tmp_path / "labels/1.parquet", made.labels.slice(0, half))
    write(tmp_path / "labels/2.parquet", made.labels.slice(half))
    aggregate(project, [TODAY], OPEN)
    before = facts(project)
    (tmp_path / "labels/1.parquet").unlink()

    for _ in range(2):
        aggregate(project, [TODAY], OPEN)

        assert facts(project) == before
    assert aggregate(project, [TODAY], OPEN).written == 0


def test_labels_of_a_rotated_batch_are_joined_again_when_events_change(project: Project, tmp_path: Path) -> None:
    """A label that was kept must not count beside one that the log now holds itself."""
    write(tmp_path / "log/a.parquet", events([START, START], prediction_id=["p", "q"]))
    write(tmp_path / "labels/1.parquet", labels(["p", "q"], at=OPEN, of=[START, START]))
    aggregate(project, [TODAY])
    (tmp_path / "labels/1.parquet").unlink()
    write(tmp_path / "log/a.parquet", events([START, START], prediction_id=["p", "q"], label=[1, None]))

    aggregate(project, [TODAY])

    assert labeled(project) == 2


def test_a_batch_that_is_being_rewritten_takes_no_label_away(project: Project, tmp_path: Path) -> None:
    write(tmp_path / "log/a.parquet", events([START], prediction_id="p"))
    path = write(tmp_path / "labels/1.parquet", labels(["p"], at=OPEN, of=[START]))
    aggregate(project, [TODAY])
    path.write_bytes(path.read_bytes()[:-10])

    assert aggregate(project, [TODAY]).errors
    assert labeled(project) == 1


def test_a_long_name_of_a_batch_fits_its_key_and_stays_apart_from_others() -> None:
    names = [f"labels/{'x' * 300}{i}" for i in range(3)]
    keys = [batch_key(name) for name in names]

    assert [len(key) for key in keys] == [177] * 3
    assert len(set(keys)) == 3
    assert batch_key("labels/a") == "labels/a"


def test_a_day_that_another_run_wrote_meanwhile_is_counted_once(project: Project, tmp_path: Path) -> None:
    """A backfill beside the minute job must not leave the whole day beside its own hours."""
    write(tmp_path / "log/a.parquet", traffic(hours=4).log)
    aggregate(project, [TODAY], OPEN)
    write(tmp_path / "log/b.parquet", events([START + HOUR]))
    plan = planned(project)
    wanted = plan.wanted()
    aggregate(project, [TODAY], recompute=True)
    whole = facts(project)

    assert swap_partials(plan, wanted) == 1
    assert set(spans(of_day(project, TODAY))) == {HOUR}
    assert facts(project) == whole
