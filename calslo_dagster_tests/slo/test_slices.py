"""Slice names are readable, unique, bounded and reversible."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.slo.slices import is_cut, matches, parse_slice, slice_name

COLUMNS = ("intent", "language")
values = st.none() | st.text(max_size=12)


@given(values, values)
def test_a_name_gives_back_its_values(intent: str | None, language: str | None) -> None:
    name = slice_name(COLUMNS, [intent, language])

    if not is_cut(name):
        assert parse_slice(name) == (("intent", intent), ("language", language))


@given(st.lists(st.tuples(values, values), min_size=2, max_size=2, unique=True))
def test_different_values_have_different_names(pairs: list[tuple[str | None, str | None]]) -> None:
    first, second = (slice_name(COLUMNS, pair) for pair in pairs)

    assert first != second


@given(values, values)
def test_a_name_has_no_control_characters_and_fits_a_key(intent: str | None, language: str | None) -> None:
    name = slice_name(COLUMNS, [intent, language])

    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", name)
    assert len(name) <= 200


@given(values, values)
def test_a_name_matches_itself_and_everything(intent: str | None, language: str | None) -> None:
    name = slice_name(COLUMNS, [intent, language])

    assert matches(name, name)
    assert matches("*", name)


@pytest.mark.parametrize(
    ("found", "name"),
    [
        (["refund", "de"], "intent=refund,language=de"),
        ([None, "de"], "intent=%null,language=de"),
        (["%null", ""], "intent=%25null,language="),
        (["a,b=c", "50%"], "intent=a%2Cb%3Dc,language=50%25"),
        (["x\ny", "\x85"], "intent=x%0Ay,language=%C2%85"),
        (["Größe", "日本"], "intent=Größe,language=日本"),
    ],
)
def test_reserved_characters_are_percent_encoded_and_others_kept(found: list[str | None], name: str) -> None:
    assert slice_name(COLUMNS, found) == name
    assert parse_slice(name) == tuple(zip(COLUMNS, found, strict=True))


def test_no_columns_name_everything() -> None:
    assert slice_name([], []) == "*"
    assert parse_slice("*") == ()


def test_a_name_of_two_hundred_characters_is_kept_and_a_longer_one_is_cut() -> None:
    kept = slice_name(["c"], ["x" * 198])
    cut = slice_name(["c"], ["x" * 199])

    assert (len(kept), is_cut(kept)) == (200, False)
    assert re.fullmatch(r"c=x{158}~[0-9a-f]{16}", cut)
    assert is_cut(cut)


def test_names_that_differ_only_beyond_the_cut_stay_different() -> None:
    assert slice_name(["c"], ["x" * 300 + "a"]) != slice_name(["c"], ["x" * 300 + "b"])


def test_a_cut_name_yields_the_pairs_before_the_cut() -> None:
    name = slice_name(COLUMNS, ["refund", "x" * 300])

    assert parse_slice(name) == (("intent", "refund"),)


@pytest.mark.parametrize(
    ("pattern", "name", "covered"),
    [
        ("intent=refund*", "intent=refund,language=de", True),
        ("intent=refund", "intent=refund,language=de", False),
        ("*language=de", "intent=refund,language=de", True),
        ("intent=[a-z]*", "intent=refund", True),
        ("intent=[x]", "intent=[x]", True),
        ("Intent=*", "intent=refund", False),
        ("intent=*", "*", False),
    ],
)
def test_patterns_are_shell_patterns_over_the_whole_name(pattern: str, name: str, covered: bool) -> None:
    assert matches(pattern, name) is covered


@pytest.mark.parametrize("column", ["", "a=b", "a,b", "a%b", "a\tb"])
def test_a_column_that_would_break_the_syntax_is_refused(column: str) -> None:
    with pytest.raises(ValueError, match="rename it"):
        slice_name([column], ["x"])


@pytest.mark.parametrize("name", ["", "refund", "intent=a,b", "=a"])
def test_a_text_that_is_no_slice_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no slice name"):
        parse_slice(name)


def test_columns_and_values_come_in_pairs() -> None:
    with pytest.raises(ValueError, match=r"shorter|longer"):
        slice_name(["a", "b"], ["x"])
