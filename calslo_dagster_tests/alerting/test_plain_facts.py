"""Facts are made safe to show without losing count of what is left out."""

from dataclasses import replace

from hypothesis import given

from calslo_dagster.alerting.facts import Facts, Link
from calslo_dagster.alerting.plain_facts import MOST_MEMBERS, plain_facts
from calslo_dagster_tests.alerting.messages import BASE, GERMANY, nasty_facts
from calslo_dagster_tests.strategies import steady


def test_ordinary_facts_stay_as_they_are() -> None:
    assert plain_facts(BASE) == BASE


@steady
@given(nasty_facts)
def test_plain_facts_are_plain(facts: Facts) -> None:
    once = replace(plain_facts(facts), changes=(), cautions=())

    assert plain_facts(once) == once
    assert len(repr(once)) < 25_000


def test_slices_are_counted_before_they_are_cut() -> None:
    many = plain_facts(replace(BASE, slices=0, worst=(GERMANY,) * 50))

    assert many.slices == 50
    assert len(many.worst) == MOST_MEMBERS


def test_what_is_left_out_of_a_list_is_counted() -> None:
    assert plain_facts(replace(BASE, changes=("a", "b", "c", "d", "e"))).changes == ("a", "b", "c", "and 2 more")


def test_an_address_that_is_none_is_emptied() -> None:
    links = (Link("a", "https://x.test/1"), Link("b", "https://x.test/ 1"), Link("c", "https://x.test/\n"))

    assert [link.url for link in plain_facts(replace(BASE, links=links)).links] == ["https://x.test/1", "", ""]
