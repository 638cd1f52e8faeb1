"""Text is cut between words, and nothing hidden is left in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.alerting.phrases import one_line, several_lines, shorten, visible
from calslo_dagster_tests.alerting.messages import texts
from calslo_dagster_tests.strategies import steady


def test_text_that_fits_is_left_alone() -> None:
    assert shorten("roll it back", 12) == "roll it back"


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("roll the calibrator back", 20, "roll the calibrator…"),
        ("roll the calibrator back", 12, "roll the…"),
        ("country=de,device=phone", 20, "country=de,device=p…"),
        ("country=germany,d=phone", 19, "country=germany…"),
        ("costs 1,240 approvals", 10, "costs 1,2…"),
        ("abcdefghij", 5, "abcd…"),
        ("abc", 1, "…"),
        ("abc", 0, ""),
    ],
)
def test_text_is_cut_between_words_where_that_keeps_most_of_it(text: str, most: int, shown: str) -> None:
    assert shorten(text, most) == shown


@pytest.mark.parametrize(
    ("text", "most", "shown"),
    [
        ("xx👩\u200d👩\u200d👧", 5, "xx…"),
        ("xx👍🏽yy", 4, "xx…"),
        ("xxe\u0301y", 4, "xx…"),
    ],
)
def test_a_cut_does_not_tear_a_character(text: str, most: int, shown: str) -> None:
    assert shorten(text, most) == shown


def test_marks_without_end_are_cut_all_the_same() -> None:
    assert len(shorten("e" + "\u0301" * 500, 100)) == 100


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a\nb\t c", "a b c"),
        ("\x1b[31m", "\\x1b[31m"),
        ("\u202eabc", "\\u202eabc"),
        ("\ud800", "\\ud800"),
        ("\U000e0041", "\\U000e0041"),
        ("👩\u200d👧 naïve 日本", "👩\u200d👧 naïve 日本"),
    ],
)
def test_hidden_characters_are_written_as_their_numbers(text: str, shown: str) -> None:
    assert one_line(text, 80) == shown


@steady
@given(texts, st.integers(0, 300))
def test_one_line_is_one_line_of_bounded_length(text: str, most: int) -> None:
    line = one_line(text, most)

    assert len(line) <= most
    assert len(line.splitlines()) <= 1
    line.encode()
    assert one_line(line, most) == line


@steady
@given(texts, st.integers(20, 300))
def test_several_lines_stay_within_their_room(text: str, most: int) -> None:
    lines = several_lines(text, most)

    assert len(lines) <= most
    assert "\n\n\n" not in lines
    lines.encode()


def test_several_lines_are_cut_after_a_line() -> None:
    assert several_lines("first line\nsecond line\nthird line", 30) == "first line\nsecond line\n…"
    assert several_lines("\n\na\n\n\n\nb  \n", 30) == "a\n\nb"


def test_printable_text_is_visible_as_it_is() -> None:
    assert visible("ECE 0.08 > 0.05 · 3 of 14") == "ECE 0.08 > 0.05 · 3 of 14"
