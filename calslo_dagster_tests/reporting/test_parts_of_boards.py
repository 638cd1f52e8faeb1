"""A part of a board says what the whole one does."""

import pytest

from calslo_dagster.reporting.board import BoardFilter, narrowed
from calslo_dagster.reporting.states import State
from calslo_dagster.slo.model import Verdict
from calslo_dagster_tests.exports.boards import a_board, a_card


@pytest.mark.parametrize(
    "wanted",
    [
        BoardFilter(slice="*"),
        BoardFilter(slo="ece", states=frozenset({State.BREACHED})),
        BoardFilter(slice="intent=*", model="intent"),
        BoardFilter(slo="nothing"),
    ],
)
def test_a_part_of_a_board_is_the_board_of_its_cards(wanted: BoardFilter) -> None:
    cards = [
        a_card(Verdict.BREACHED),
        a_card(Verdict.MEETING, slice="intent=a"),
        a_card(Verdict.UNKNOWN, slice="intent=b"),
    ]
    whole = a_board(*cards)

    part = narrowed(whole, wanted)

    taken = [card for card in cards if wanted.takes(card.slo, card.slice, card.model)]
    alone = a_board(*taken, states=wanted.states, evaluations=whole.evaluations)
    assert part == alone
    assert sum(part.counts.values()) == len(taken)
