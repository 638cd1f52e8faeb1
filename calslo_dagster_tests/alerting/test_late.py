"""A page is taken back for one that says as much, and what waits is late by what keeps it from going."""

from datetime import timedelta

import pytest

from calslo_dagster.alerting.late import IN_TURN, LATE, PAGES, Wait, is_late, stand_in
from calslo_dagster.alerting.model import Action
from calslo_dagster_tests.alerting.world import MINUTE, START

MOMENT = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("action", "behind", "expected"),
    [
        (Action.TRIGGER, [Action.TRIGGER], Action.TRIGGER),
        (Action.TRIGGER, [Action.ACK, Action.UPDATE, Action.DIGEST, Action.RESOLVE, Action.TEST], None),
        (Action.UPDATE, [Action.DIGEST], None),
        (Action.UPDATE, [Action.ACK, Action.UPDATE], Action.UPDATE),
        (Action.DIGEST, [Action.RESOLVE, Action.DIGEST, Action.TRIGGER], Action.DIGEST),
        (Action.DIGEST, [], None),
    ],
)
def test_a_page_gives_way_only_to_one_that_is_given_up_no_sooner(
    action: Action, behind: list[Action], expected: Action | None
) -> None:
    assert stand_in(action, behind) is expected


@pytest.mark.parametrize("action", sorted(set(Action) - PAGES))
def test_what_is_no_page_gives_way_to_nothing(action: Action) -> None:
    assert stand_in(action, list(Action)) is None


@pytest.mark.parametrize("has_failed", [True, False])
@pytest.mark.parametrize("is_channel_failing", [True, False])
def test_what_only_waits_for_its_turn_has_longer(*, has_failed: bool, is_channel_failing: bool) -> None:
    wait = Wait(START, has_failed, is_channel_failing)
    patience = LATE if has_failed or is_channel_failing else IN_TURN

    assert not is_late(wait, since=None, now=START + patience)
    assert is_late(wait, since=None, now=START + patience + MOMENT)


def test_a_standstill_of_ours_does_not_count() -> None:
    wait = Wait(START, has_failed=True, is_channel_failing=True)

    assert not is_late(wait, since=START + MINUTE, now=START + MINUTE + LATE)
    assert is_late(wait, since=START + MINUTE, now=START + MINUTE + LATE + MOMENT)
    assert is_late(wait, since=START - MINUTE, now=START + LATE + MOMENT)
