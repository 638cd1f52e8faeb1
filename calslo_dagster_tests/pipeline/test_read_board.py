"""The board says of every slice how it stands now, and is the same for whoever reads it."""

from datetime import datetime
from pathlib import Path

import pytest
import sqlalchemy as sa

from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.measure_availability import measure_availability
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_board import board_stamp, breaches_of, read_board
from calslo_dagster.pipeline.read_course import course as read_course
from calslo_dagster.pipeline.read_totals import read_totals
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.reporting.board import Board, BoardFilter, Card
from calslo_dagster.reporting.states import BurnWord, State
from calslo_dagster.slo.availability import Tally
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.health import Word
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import DAY, Window
from calslo_dagster.store import evaluations, exclusions
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.courses import SLO, complete_up_to, course, hours, measured, store

NOW = START + 5 * HOUR + 30 * MINUTE
OF_SLO = BoardFilter(slo=SLO)


def card(project: Project, now: datetime = NOW, slice_name: str = "*") -> Card:
    found = read_board(project, now=now).card(SLO, slice_name)
    assert found is not None
    return found


def folded(project: Project, letters: str) -> None:
    hours(project, letters)
    complete_up_to(project, START + len(letters) * HOUR)
    track_breaches(project)
    measure_availability(project, now=NOW)


def test_before_the_first_evaluation_there_is_a_card_for_each_slo_and_none_is_green(project: Project) -> None:
    board = read_board(project, now=NOW)

    assert {one.slo for one in board.cards} == set(project.registry.names)
    assert {one.state for one in board.cards} == {State.NEVER}
    assert all(one.reason and one.next_step for one in board.cards)
    assert (board.health.word, board.evaluated_at) == (Word.UNKNOWN, None)


@pytest.mark.parametrize(
    ("letters", "state"),
    [
        ("mmmmm", State.MEETING),
        ("mmmmw", State.WARNING),
        ("mmmmb", State.BREACHED),
        ("mmmmu", State.UNKNOWN),
        ("mmmme", State.ERROR),
        ("mmmmx", State.EXCLUDED),
        ("mmmmmB", State.BREACHED),
        ("mmmmbM", State.BREACHED),
    ],
)
def test_the_card_has_the_state_of_the_newest_window(project: Project, letters: str, state: State) -> None:
    hours(project, letters)

    assert card(project).state is state


def test_a_card_has_what_was_measured_and_its_limit_in_words(project: Project) -> None:
    hours(project, "mmmmb")

    found = card(project)

    assert (found.value, found.threshold, found.events, found.verdict) == (0.5, 0.4, 100, Verdict.BREACHED)
    assert (found.window_end, found.evaluated_at, found.age_seconds) == (START + 5 * HOUR, START + 5 * HOUR, 1800.0)
    assert (found.shown_value, found.shown_limit, found.shown_interval) == ("50 %", "at most 40 %", "–")
    assert found.objective.endswith("% of windows")


def test_a_state_began_when_the_last_window_of_another_one_ended(project: Project) -> None:
    hours(project, "mmmww")

    assert card(project).since == START + 3 * HOUR


def test_a_state_that_began_before_the_last_hours_began_on_its_day(project: Project) -> None:
    hours(project, "bmmm" + "m" * 20)
    hours(project, "m" * 24, START + DAY)

    assert card(project, START + 2 * DAY).since == START + DAY


def test_when_evaluation_stands_still_all_cards_are_stale_and_stay_on_the_board(project: Project) -> None:
    hours(project, "mmmmm")
    limit = START + 5 * HOUR + 1.5 * HOUR + project.settings.lateness

    assert card(project, limit).state is State.MEETING
    for now in (limit + MINUTE, START + 30 * DAY):
        board = read_board(project, now=now, filter=OF_SLO)
        assert [one.state for one in board.cards] == [State.STALE]
        assert (board.health.word, board.counts[State.MEETING]) == (Word.UNKNOWN, 0)


def test_when_only_events_are_missing_the_card_is_stale_after_eight_hours(project: Project) -> None:
    hours(project, "mmmmm")
    with project.store.write() as session:
        evaluations.touch(session, SLO, at=START + 13 * HOUR)

    assert card(project, START + 13 * HOUR).reason.startswith("Not measured since 2026-03-07 05:00 UTC.")


def test_an_open_breach_gives_onset_budget_and_burn(project: Project) -> None:
    folded(project, "mmbbb")

    found = card(project)

    assert found.breach_id is not None
    assert found.since == START + 2 * HOUR
    assert found.budget is not None
    assert (found.budget.used, found.budget.left) == (3, found.budget.allowed - 3)
    assert found.burn in (BurnWord.SPENDING, BurnWord.FAST)
    [breach] = breaches_of(project, SLO, "*", span=Window(START, NOW))
    assert breach.id == found.breach_id


def test_both_databases_give_the_same_board_counts_and_course(
    tmp_path: Path, open_at: OpenProject, store_url: str
) -> None:
    project = open_at(tmp_path, store_url=store_url)
    rows = [*course("mmbbw"), *course("mmmmm", slice="intent=buy"), *course("bmmmu", slice="intent=search")]
    store(project, rows, START, START + 5 * HOUR)
    complete_up_to(project, START + 5 * HOUR)
    track_breaches(project)
    measure_availability(project, now=NOW)

    board = read_board(project, now=NOW, filter=OF_SLO)

    assert [(one.slice, one.state, one.since, one.burn) for one in board.cards] == [
        ("*", State.BREACHED, START + 2 * HOUR, BurnWord.FAST),
        ("intent=search", State.UNKNOWN, START + 4 * HOUR, BurnWord.RECOVERING),
        ("intent=buy", State.MEETING, None, BurnWord.STEADY),
    ]
    assert [one.budget and one.budget.used for one in board.cards] == [2, 1, 0]
    assert read_totals(project, now=NOW).days[0].tally == Tally(good=11, bad=3, unknown=1)
    assert len(read_course(project, project.registry.find(SLO), "*", span=Window(START, NOW)).points) == 5
    assert board_stamp(project) == board_stamp(project)


def test_a_breach_is_open_until_it_has_recovered(project: Project) -> None:
    folded(project, "mbbbm")

    found = card(project)

    assert (found.state, found.verdict) == (State.BREACHED, Verdict.MEETING)
    assert found.reason.startswith("The breach is still open")


def test_maintenance_that_goes_on_is_excluded_and_says_until_when(project: Project) -> None:
    hours(project, "mmmmm")
    with project.store.write() as session:
        agreed = Exclusion(Window(NOW - HOUR, NOW + HOUR), "new calibrator", "ana", slos=SLO)
        exclusions.add(session, agreed, created_at=NOW)

    found = card(project)

    assert (found.state, found.since) == (State.EXCLUDED, NOW - HOUR)
    assert "06:30" in found.next_step


def test_cards_come_worst_first_and_a_filter_keeps_the_counts(project: Project) -> None:
    rows = [*course("mmmmm"), *course("mmmmb", slice="intent=buy"), *course("mmmmw", slice="intent=search")]
    store(project, rows, START, START + 5 * HOUR)

    board = read_board(project, now=NOW, filter=OF_SLO)
    shown = read_board(project, now=NOW, filter=BoardFilter(slo=SLO, states=frozenset({State.MEETING})))
    buys = read_board(project, now=NOW, filter=BoardFilter(slo=SLO, slice="intent=b*"))

    assert [one.slice for one in board.cards] == ["intent=buy", "intent=search", "*"]
    assert [one.slice for one in shown.cards] == ["*"]
    assert shown.counts == board.counts
    assert [one.slice for one in buys.cards] == ["intent=buy"]
    assert [one.slice for one in read_board(project, now=NOW, filter=BoardFilter(SLO, "*")).cards] == ["*"]


def test_the_version_changes_with_results_and_not_with_time(project: Project) -> None:
    hours(project, "mmmmm")
    first = read_board(project, now=NOW)

    assert read_board(project, now=NOW + MINUTE).version == first.version
    hours(project, "mmmmb")
    assert read_board(project, now=NOW + MINUTE).version != first.version


def test_the_stamp_differs_after_an_evaluation_and_after_a_breach(project: Project) -> None:
    stamps = [board_stamp(project)]
    hours(project, "mmbbb")
    stamps.append(board_stamp(project))
    complete_up_to(project, START + 5 * HOUR)
    track_breaches(project)
    stamps.append(board_stamp(project))

    assert len(set(stamps)) == 3
    assert board_stamp(project) == stamps[-1]


def test_the_number_of_statements_does_not_grow_with_the_slices(project: Project) -> None:
    def counted() -> tuple[int, Board]:
        said: list[str] = []

        def note(_: object, __: object, statement: str, *___: object) -> None:
            said.append(statement)

        sa.event.listen(project.store.engine, "before_cursor_execute", note)
        board = read_board(project, now=NOW)
        sa.event.remove(project.store.engine, "before_cursor_execute", note)
        return len(said), board

    store(project, [measured(START + 5 * HOUR, Verdict.MEETING)], START, START + 5 * HOUR)
    few, _ = counted()
    many = [measured(START + 5 * HOUR, Verdict.MEETING, slice=f"intent=i{n}") for n in range(200)]
    store(project, many, START, START + 5 * HOUR)
    more, board = counted()

    assert more == few
    assert board.counts[State.MEETING] == 200


def test_a_breach_that_pages_is_an_active_alert_and_its_card_names_the_incident(project: Project) -> None:
    folded(project, "mmbbb")
    advance_alerts(project, now=NOW)

    board = read_board(project, now=NOW, filter=OF_SLO)

    [alert] = [one for one in board.alerts if one.kind == "breach"]
    assert (alert.slo, alert.state, alert.slices, alert.members) == (SLO, "firing", ("*",), 1)
    assert alert.title == project.registry.find(SLO).title
    assert board.cards[0].incident_id == alert.id
