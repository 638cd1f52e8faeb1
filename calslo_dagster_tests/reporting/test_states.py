"""One decision gives the state, and only what was seen to be met is green."""

from dataclasses import replace
from itertools import product

import pytest

from calslo_dagster.reporting.states import BurnWord, Facts, State, burn_word, standing_of, state_of
from calslo_dagster.slo.exclusions import Exclusion
from calslo_dagster.slo.model import Verdict
from calslo_dagster.slo.windows import Window
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.courses import measured
from calslo_dagster_tests.slo.samples import an_slo

SLO = an_slo()
MAINTENANCE = Exclusion(Window(START, START + HOUR), "new calibrator", "ana")
NEWEST = measured(START, Verdict.MEETING)
MET = Facts(SLO, newest=NEWEST, evaluated_at=START)
ANSWERS = [
    (verdict, *flags)
    for verdict in (*Verdict, None)
    for flags in product((False, True), repeat=3)
    if not (verdict is None and (flags[0] or flags[1]))
]


@pytest.mark.parametrize(
    ("verdict", "is_stale", "has_breach", "is_excluded", "state"),
    [
        (None, False, False, False, State.NEVER),
        (None, False, False, True, State.EXCLUDED),
        (Verdict.MEETING, False, False, False, State.MEETING),
        (Verdict.WARNING, False, False, False, State.WARNING),
        (Verdict.BREACHED, False, False, False, State.BREACHED),
        (Verdict.UNKNOWN, False, False, False, State.UNKNOWN),
        (Verdict.ERROR, False, False, False, State.ERROR),
        (Verdict.EXCLUDED, False, False, False, State.EXCLUDED),
        (Verdict.MEETING, True, False, False, State.STALE),
        (Verdict.BREACHED, True, False, False, State.STALE),
        (Verdict.UNKNOWN, True, False, False, State.STALE),
        (Verdict.MEETING, False, True, False, State.BREACHED),
        (Verdict.UNKNOWN, False, True, False, State.BREACHED),
        (Verdict.ERROR, False, True, False, State.BREACHED),
        (Verdict.EXCLUDED, False, True, True, State.BREACHED),
        (Verdict.MEETING, False, False, True, State.EXCLUDED),
        (Verdict.MEETING, True, False, True, State.EXCLUDED),
        (Verdict.BREACHED, True, True, False, State.STALE),
        (Verdict.BREACHED, True, True, True, State.EXCLUDED),
    ],
)
def test_the_state_is_what_stands_against_the_slice_first(
    verdict: Verdict | None, *, is_stale: bool, has_breach: bool, is_excluded: bool, state: State
) -> None:
    assert state_of(verdict, is_stale=is_stale, has_breach=has_breach, is_excluded=is_excluded) is state


@pytest.mark.parametrize("answers", ANSWERS)
def test_nothing_is_green_but_a_fresh_measurement_that_meets_with_nothing_against_it(
    answers: tuple[Verdict | None, bool, bool, bool],
) -> None:
    verdict, is_stale, has_breach, is_excluded = answers

    state = state_of(verdict, is_stale=is_stale, has_breach=has_breach, is_excluded=is_excluded)

    assert (state is State.MEETING) == (answers == (Verdict.MEETING, False, False, False))


@pytest.mark.parametrize("answers", ANSWERS)
def test_each_state_but_meeting_says_why_and_what_to_do(answers: tuple[Verdict | None, bool, bool, bool]) -> None:
    verdict, is_stale, has_breach, is_excluded = answers
    facts = Facts(
        SLO,
        newest=replace(NEWEST, verdict=verdict) if verdict else None,
        evaluated_at=START,
        stale_since=START if is_stale else None,
        breach_id="b" * 64 if has_breach else None,
        exclusion=MAINTENANCE if is_excluded else None,
    )

    standing = standing_of(facts)

    assert standing.reason
    assert bool(standing.next_step) == (standing.state is not State.MEETING)
    assert "{" not in standing.next_step


def test_states_are_ordered_worst_first_and_counted_by_health_as_verdicts() -> None:
    assert [state.rank for state in State] == list(range(8))
    assert {state: state.verdict for state in (State.STALE, State.NEVER, State.BREACHED)} == {
        State.STALE: Verdict.UNKNOWN,
        State.NEVER: Verdict.UNKNOWN,
        State.BREACHED: Verdict.BREACHED,
    }


def test_what_is_stale_says_since_when_and_what_it_was() -> None:
    windowless = standing_of(replace(MET, stale_since=NEWEST.window_end))
    still = standing_of(replace(MET, evaluated_at=START + MINUTE, stale_since=START + MINUTE))

    assert windowless.reason.startswith("Not measured since 2026-03-07 00:00 UTC. Before that it was meeting: ")
    assert still.reason.startswith("Not evaluated since 2026-03-07 00:01 UTC. ")
    assert (windowless.since, still.since) == (START, START + MINUTE)


def test_a_breach_that_is_open_says_so_although_the_last_window_was_good() -> None:
    standing = standing_of(replace(MET, breach_id="abcdef0123", breach_onset=START - HOUR))

    assert standing.reason.startswith("The breach is still open; the last window was meeting: ")
    assert standing.since == START - HOUR
    assert "calslo explain abcdef01" in standing.next_step


def test_too_few_events_say_how_many_more_it_takes() -> None:
    short = replace(NEWEST, verdict=Verdict.UNKNOWN, needed=1_200)

    assert standing_of(replace(MET, newest=short)).next_step.startswith("Wait for 1,200 more events")


@pytest.mark.parametrize(
    ("has_budget", "is_fast", "verdict", "was_bad", "word"),
    [
        (False, True, Verdict.BREACHED, True, BurnWord.NONE),
        (True, True, Verdict.MEETING, False, BurnWord.FAST),
        (True, False, Verdict.BREACHED, True, BurnWord.SPENDING),
        (True, False, Verdict.MEETING, True, BurnWord.RECOVERING),
        (True, False, Verdict.MEETING, False, BurnWord.STEADY),
    ],
)
def test_the_burn_is_one_of_five_words(
    *, has_budget: bool, is_fast: bool, verdict: Verdict, was_bad: bool, word: BurnWord
) -> None:
    facts = replace(MET, newest=replace(NEWEST, verdict=verdict), bad_at=START if was_bad else None)

    assert burn_word(facts, has_budget=has_budget, is_fast=is_fast) is word
