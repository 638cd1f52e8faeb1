"""Patterns mean what Python means by them, and never take long."""

import re
from time import perf_counter

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calslo_dagster.alerting.patterns import LONGEST, pattern

ATOMS = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\.", r"\w", r"\d", "-", "{", "é"])
REPEATS = st.sampled_from(["", "", "*", "+", "?", "*?", "+?", "{2}", "{1,3}", "{,2}", "{1,}"])
SUFFIXED = st.tuples(ATOMS, REPEATS).map("".join)


def wider(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    rows = st.lists(inner, min_size=1, max_size=3).map("".join)
    groups = st.tuples(st.sampled_from(["(", "(?:"]), rows, st.just(")"), REPEATS).map("".join)
    choices = st.lists(rows, min_size=2, max_size=3).map(lambda rows: f"({'|'.join(rows)})")
    edged = rows.map(lambda row: f"(^{row}|{row}$)")
    return rows | groups | choices | edged


WRITTEN = st.recursive(SUFFIXED, wider, max_leaves=6).filter(lambda text: len(text) <= LONGEST)
TEXTS = st.text("abcxé.-{1\n", max_size=8)


@given(WRITTEN, TEXTS, st.booleans())
@settings(max_examples=1_500, deadline=None)
@example("a?a?a?aaa", "aaa", False)
@example("(a|ab)(c|bcd)", "abcd", False)
@example("(a*)*", "", False)
@example("()+", "", False)
@example("a|", "", False)
@example("(^a$|b^)", "a", False)
@example("[]a]+|[^]a]", "]a", False)
@example("x{,}(y)", "xxxy", False)
@example("(b{})", "b{}", False)
def test_a_pattern_matches_whatever_python_matches(written: str, text: str, folded: bool) -> None:
    """Texts of eight characters are short enough for Python's engine to try every way."""
    full = "(?i)" * folded + written
    value = text.upper() if folded else text

    assert pattern(full)(value) is (re.fullmatch(full, value, re.DOTALL) is not None)


@pytest.mark.parametrize(
    "written", ["(a+)+b", "(a|a)*b", "(a*)*(a*)*b", "a?" * 40 + "a" * 40 + "b", "(.*a){12}b", "(a|aa)" * 20 + "b"]
)
def test_patterns_that_hang_other_engines_answer_at_once(written: str) -> None:
    started = perf_counter()

    assert pattern(written)("a" * 200) is False
    assert perf_counter() - started < 2


def test_the_whole_text_has_to_match() -> None:
    assert pattern("prod")("prod")
    assert not pattern("prod")("prod-eu")
    assert not pattern("prod")("preprod")
    assert not pattern("a|b")("ab")


def test_a_point_stands_for_line_breaks_too() -> None:
    assert pattern("a.*")("a\nb")
    assert pattern("(a).*")("a\nb")


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("(", r"'\(' is no regex"),
        ("a**", "multiple repeat"),
        ("[b-a]", "bad character range"),
        ("[[a]", "no regex"),
        ("(?=a)b", "plain groups"),
        ("(?P<name>a)", "plain groups"),
        (r"(a)\1", r"holds \\1"),
        (r"\bword", "write the character itself"),
        ("a*+", r"write a\*|write \*"),
        ("((a{50}){50}){50}", "use \\* or \\+ instead of counts"),
        ("(" * 21 + ")" * 21, "more than 20 groups"),
        ("a" * (LONGEST + 1), f"{LONGEST + 1} characters; {LONGEST} are allowed"),
    ],
)
def test_a_pattern_that_cannot_be_is_refused_with_a_way_out(written: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        pattern(written)
