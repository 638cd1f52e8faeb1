"""Matchers read as Alertmanager's do, and say what is wrong with them."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calslo_dagster.alerting.matchers import IDENTITY, Matcher, Operator, leave_nothing_out, matches, shared, written
from calslo_dagster.alerting.model import Kind, Severity, Subject

LABELS = Subject(Kind.BREACH, "ece_bound", "intent=refund,lang=de", "intent", "prod").labels(
    Severity.CRITICAL, {"intent": "refund", "lang": "de"}
)


@pytest.mark.parametrize(
    ("text", "matcher"),
    [
        ("slo=ece_bound", Matcher("slo", Operator.IS, "ece_bound")),
        (' slo = "ece_bound" ', Matcher("slo", Operator.IS, "ece_bound")),
        ("slo!='ece bound'", Matcher("slo", Operator.IS_NOT, "ece bound")),
        ("lang=~de|fr", Matcher("lang", Operator.LIKE, "de|fr")),
        (r'lang!~"d.\\d\n"', Matcher("lang", Operator.UNLIKE, "d.\\d\n")),
        (r'name="say \"hi\""', Matcher("name", Operator.IS, 'say "hi"')),
        ("slice=intent=refund,lang=de", Matcher("slice", Operator.IS, "intent=refund,lang=de")),
        ("lang=", Matcher("lang", Operator.IS, "")),
        ('lang=""', Matcher("lang", Operator.IS, "")),
        ('"odd = label"=x', Matcher("odd = label", Operator.IS, "x")),
        ("two words=x", Matcher("two words", Operator.IS, "x")),
        ('lang="=~"', Matcher("lang", Operator.IS, "=~")),
    ],
)
def test_matchers_are_read_from_text(text: str, matcher: Matcher) -> None:
    assert Matcher.parse(text) == matcher


@given(
    label=st.text(min_size=1, max_size=10),
    operator=st.sampled_from([Operator.IS, Operator.IS_NOT]),
    value=st.text(max_size=20),
)
def test_a_matcher_written_and_read_is_the_same(label: str, operator: Operator, value: str) -> None:
    matcher = Matcher(label, operator, value)

    assert Matcher.parse(str(matcher)) == matcher


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("slo=ece_bound", True),
        ("slo=ece", False),
        ("slo!=ece", True),
        ("slo=~ece.*", True),
        ("slo=~ece", False),
        ("slo!~ece", True),
        ("slo!~ece_(bound|x)", False),
        ("severity=critical", True),
        ("intent=refund", True),
        ("region=", True),
        ("region!=eu", True),
        ("region=eu", False),
        ("region=~.*", True),
        ("region=~.+", False),
        ("region!~eu", True),
    ],
)
def test_a_missing_label_is_the_empty_text(text: str, holds: bool) -> None:
    assert Matcher.parse(text).matches(LABELS) is holds


def test_all_matchers_have_to_hold_and_none_holds_for_everything() -> None:
    right, wrong = Matcher.parse("slo=ece_bound"), Matcher.parse("lang=fr")

    assert matches([right], LABELS)
    assert not matches([right, wrong], LABELS)
    assert matches([], LABELS)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("slo", "'slo' is no matcher; write label=value"),
        ("", "is no matcher"),
        ("=x", "is no matcher"),
        ('""=x', "names no label"),
        ("slo==x", "unknown operator ==; write one of =, !=, =~, !~"),
        ("slo<3", "unknown operator <"),
        ("slo~x", "unknown operator ~"),
        ('slo="x', "do not pair"),
        ('slo="x" or lang="de"', "do not pair"),
        ("slo=~(", "'slo=~\\(': '\\(' is no regex: missing \\)"),
        ("slo=~" + "a" * 201, "201 characters; 200 are allowed"),
        ("slo=" + "a" * 1_001, "1001 characters; 1000 are allowed"),
    ],
)
def test_what_is_no_matcher_is_refused_with_its_text_and_a_way_out(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Matcher.parse(text)


@pytest.mark.parametrize("text", ["slo!=x", "region=", "region=~.*", "slo=~.+", "severity!=none", 'slice=~"[^!]+|.*"'])
def test_matchers_that_leave_nothing_out_are_known(text: str) -> None:
    assert leave_nothing_out([Matcher.parse(text)])


@pytest.mark.parametrize("text", ["slo=x", "region=~.+", "slice=*", "environment=~prod.*", "intent!="])
def test_matchers_that_leave_something_out_are_known(text: str) -> None:
    assert not leave_nothing_out([Matcher.parse(text)])
    assert not leave_nothing_out([Matcher.parse(text), Matcher.parse("slo!=x")])


def test_every_alert_has_the_labels_of_its_identity() -> None:
    assert set(Subject(Kind.PIPELINE, "dispatcher").labels(Severity.INFO)) == IDENTITY


def test_matchers_are_shown_in_one_line() -> None:
    assert written([Matcher.parse("slo=x"), Matcher.parse("lang=~de|fr")]) == 'slo="x", lang=~"de|fr"'
    assert written([]) == "all"


@pytest.mark.parametrize(
    ("label", "value", "argument"),
    [
        ("slo", "ece_bound", "slo=ece_bound"),
        ("slo", "delivery:chat", "slo=delivery:chat"),
        ("model", "", "'model=\"\"'"),
        ("model", "*", "'model=\"*\"'"),
        ("model", "a 'b' \"c\"", "'model=\"a '\"'\"'b'\"'\"' \\\"c\\\"\"'"),
    ],
)
def test_as_an_argument_it_reads_the_same_after_the_shell(label: str, value: str, argument: str) -> None:
    matcher = Matcher(label, Operator.IS, value)

    assert matcher.argument == argument
    assert [Matcher.parse(word) for word in shlex.split(matcher.argument)] == [matcher]


def test_what_the_alerts_of_an_incident_share_leaves_other_incidents_alone() -> None:
    labels = {"kind": "blind", "slo": "ece_bound", "model": "a", "environment": ""}

    found = shared(labels)

    assert matches(found, {**labels, "slice": "x"})
    assert not any(matches(found, {**labels, **other}) for other in ({"kind": "breach"}, {"model": "b"}, {"slo": "c"}))
