"""A message tells every fact once, and stays short and harmless whatever the facts hold."""

import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calslo_dagster.alerting.facts import Facts, Link, Member
from calslo_dagster.alerting.headline import LONGEST_TITLE
from calslo_dagster.alerting.message import LONGEST_TEXT, compose
from calslo_dagster.alerting.model import Action, Finding
from calslo_dagster_tests.alerting.messages import (
    ALONE,
    BASE,
    BLIND,
    BURN,
    FLAPPING,
    FRANCE,
    GERMANY,
    KINDS,
    NOW,
    PIPELINE,
    START,
    finding,
    nasty_facts,
    worst_facts,
)
from calslo_dagster_tests.strategies import steady

JOINERS = "\u200c\u200d"


def is_harmless(text: str) -> bool:
    """Whether the text can be encoded and holds nothing that hides, reorders, rings or breaks a line."""
    text.encode()
    bad = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    return not any(unicodedata.category(c) in bad and c not in JOINERS for c in text.replace("\n", ""))


def test_a_page_of_one_slice_reads_like_this() -> None:
    words = compose(replace(ALONE, acked_by="", opened_at=START), Action.TRIGGER)

    assert words.title == "CRITICAL fraud-v12 · over-confident · ece_bound 0.0831 > 0.05 · country=de"
    assert words.text == (
        "Calibration error (ece_bound) of fraud-v12 in prod is breached for country=de.\n"
        "Estimate: 0.0831 [0.0712, 0.0961], n = 41,280\n"
        "Direction: over-confident (mean score 0.31, base rate 0.22)\n"
        "Promise: at most 0.05 over 24 h\n"
        "Detail: 15 equal-mass bins, c = 0.7 from the settings.\n"
        "Window: 2026-03-01 10:00 to 2026-03-02 10:00 UTC\n"
        "Since: 2026-03-02 10:00 UTC, for 2 h 10 min\n"
        "\n"
        "Budget: 62 % of the 28-day budget in 6 h\n"
        "Changed: calibrator v13 since 09:45 UTC\n"
        "Caution: labels come 40 min later than last week\n"
        "\n"
        "Owner: risk-ml\n"
        "First: Open the calibration table of the slice.\n"
        "Runbook: https://runbooks.test/ece_bound\n"
        "Report: https://reports.test/7\n"
        "\n"
        "Commands:\n"
        "  calslo alerts ack 1a2b3c4d\n"
        "  calslo silence add slo=ece_bound\n"
        "\n"
        "Why you: policy page, step 1 of 4\n"
        "Next: lead in 16 min unless acknowledged\n"
        "Incident: 1a2b3c4d5e6f7a8b, episode 2, as of 2026-03-02 12:10 UTC"
    )


def test_several_slices_are_listed_worst_first_and_the_rest_is_counted() -> None:
    text = compose(BASE, Action.TRIGGER).text

    assert "is breached for 5 of 14 slices." in text
    assert (
        "1. country=de: 0.0831 [0.0712, 0.0961], n = 41,280\n"
        "2. country=fr: 0.071 [0.06, 0.08], n = 9,000, limit 0.062, since 2026-03-02 10:30 UTC\n"
        "3. all traffic: 0.06 [0.055, 0.065], n = 200,000\n"
        "and 2 more\n"
        "Peak: country=de: 0.12, n = 30,000"
    ) in text


@pytest.mark.parametrize(
    "fact",
    [
        "fraud-v12",
        "prod",
        "Calibration error",
        "ece_bound)",
        "at most 0.05 over 24 h",
        "0.0831 [0.0712, 0.0961]",
        "41,280",
        "over-confident (mean score 0.31, base rate 0.22)",
        "15 equal-mass bins",
        "2026-03-01 10:00 to",
        "for 2 h 10 min",
        "Incident opened: 2026-03-02 10:15 UTC",
        "episode 2",
        "came back 3 times",
        "5 of 14",
        "62 % of the 28-day budget in 6 h",
        "calibrator v13 since 09:45 UTC",
        "labels come 40 min later than last week",
        "risk-ml",
        "Open the calibration table of the slice.",
        "https://runbooks.test/ece_bound",
        "https://reports.test/7",
        "calslo alerts ack 1a2b3c4d",
        "calslo silence add slo=ece_bound",
        "policy page, step 1 of 4",
        "lead in 16 min unless acknowledged",
        "1a2b3c4d5e6f7a8b",
    ],
)
def test_every_fact_is_told_once(fact: str) -> None:
    assert compose(BASE, Action.TRIGGER).text.count(fact) == 1


def test_a_fact_under_two_names_is_told_once() -> None:
    same = replace(ALONE, reason="Labels are late.", cautions=("Labels are late.",))

    assert compose(same, Action.TRIGGER).text.count("Labels are late.") == 1


def test_a_direction_with_its_figures_in_the_detail_is_told_there() -> None:
    reason = "Calibration error is 0.09 over 9 events; it must be at most 0.05. Over-confident: the mean score is 0.31."
    told = Member("country=de", START, finding(0.09, reason=reason))

    text = compose(replace(ALONE, direction="over-confident", worst=(told,)), Action.TRIGGER).text

    assert text.lower().count("over-confident") == 1


def test_a_runbook_that_is_an_address_is_told_once() -> None:
    text = compose(replace(ALONE, first_action=ALONE.links[0].url), Action.TRIGGER).text

    assert "First: follow the runbook.\nRunbook: https://runbooks.test/ece_bound" in text


def test_slices_with_equal_figures_are_all_listed() -> None:
    alike = tuple(Member(f"country={name}", START, finding(0.06)) for name in ("at", "be", "ch"))

    text = compose(replace(BASE, slices=3, worst=alike), Action.TRIGGER).text

    assert [name in text for name in ("1. country=at", "2. country=be", "3. country=ch")] == [True] * 3
    assert "more" not in text


def test_the_only_slice_that_is_known_of_several_is_named() -> None:
    text = compose(replace(BASE, worst=(GERMANY,), peak=None), Action.TRIGGER).text

    assert "1. country=de: 0.0831 [0.0712, 0.0961], n = 41,280\nand 4 more" in text


def test_a_peak_that_is_the_present_value_is_not_told_again() -> None:
    assert "Peak" not in compose(replace(BASE, peak=GERMANY), Action.TRIGGER).text


def test_a_resolved_incident_says_how_long_it_lasted_and_asks_for_nothing() -> None:
    ended = replace(ALONE, resolved_at=NOW, reason="met again in 2 windows", acked_by="ada")

    words = compose(ended, Action.RESOLVE)

    assert words.title == "RESOLVED fraud-v12 · Calibration error · country=de · after 2 h 10 min"
    assert words.text.startswith("Resolved: Calibration error (ece_bound) of fraud-v12 in prod, country=de.")
    assert "Lasted: 2026-03-02 10:00 to 12:10 UTC, 2 h 10 min" in words.text
    assert "Why it is over: met again in 2 windows" in words.text
    assert "Acknowledged by: ada" in words.text
    assert "First:" not in words.text


def test_an_acknowledgement_says_who_and_what_they_said() -> None:
    words = compose(replace(ALONE, acked_by="ada", note="rolling v13 back"), Action.ACK)

    assert words.title == "ACKNOWLEDGED fraud-v12 · Calibration error · country=de · by ada"
    assert "Acknowledged by: ada\nNote: rolling v13 back" in words.text


def test_a_digest_says_that_it_goes_on_or_that_it_flaps() -> None:
    assert compose(ALONE, Action.DIGEST).title.startswith("STILL CRITICAL fraud-v12")
    assert compose(ALONE, Action.DIGEST).title.endswith("for 2 h 10 min")
    assert compose(FLAPPING, Action.DIGEST).title.startswith("FLAPPING CRITICAL fraud-v12")


def test_a_page_about_what_flaps_says_so_and_since_when() -> None:
    words = compose(FLAPPING, Action.TRIGGER)

    assert words.title.startswith("FLAPPING CRITICAL fraud-v12")
    assert "\nFlapping: it came back 3 times since 2026-03-02 07:00 UTC; it is told once\n" in words.text
    assert compose(FLAPPING, Action.RESOLVE).title.startswith("RESOLVED ")


def test_what_came_back_once_does_not_flap_yet() -> None:
    words = compose(replace(ALONE, flaps=1), Action.TRIGGER)

    assert words.title.startswith("CRITICAL ")
    assert "\nAgain: it came back once soon after it had been resolved\n" in words.text


def test_an_update_and_a_test_say_what_they_are() -> None:
    assert compose(ALONE, Action.UPDATE).title.startswith("UPDATE CRITICAL ")
    words = compose(ALONE, Action.TEST)
    assert words.title.startswith("TEST CRITICAL ")
    assert words.text.startswith("This is a test: nothing is wrong, and nobody has to act.\n")


def test_what_cannot_be_judged_is_neither_met_nor_breached() -> None:
    words = compose(BLIND, Action.TRIGGER)

    assert words.title == "WARNING fraud-v12 · Calibration error cannot be judged · country=de"
    assert "cannot be judged for country=de, so it counts neither as met nor as breached." in words.text
    assert words.text.count("Needs 35 more events: has 165 of 200.") == 1
    assert "Estimate" not in words.text


def test_several_blind_slices_are_listed_with_their_reasons() -> None:
    blind = [Member(f"country={name}", START, Finding(reason=f"no {name} labels")) for name in ("de", "fr")]

    text = compose(replace(BLIND, slices=2, worst=tuple(blind)), Action.TRIGGER).text

    assert "Slices:\n1. country=de: no de labels\n2. country=fr: no fr labels" in text
    assert text.count("no de labels") == 1


def test_a_burning_budget_is_told_as_a_rate() -> None:
    words = compose(BURN, Action.TRIGGER)

    assert words.title == "CRITICAL fraud-v12 · Calibration error burns its budget 14.4 times > 6 times"
    assert "uses up its error budget too fast for all traffic." in words.text
    assert "Estimate: 14.4 times, n = 24, limit 6 times" in words.text


def test_our_own_trouble_is_not_blamed_on_a_model() -> None:
    words = compose(PIPELINE, Action.TRIGGER)

    assert words.title == "EMERGENCY Nothing has been evaluated · for 2 h 10 min"
    assert words.text.startswith(
        "Nothing has been evaluated (evaluation) in prod: calslo itself is in trouble, not a model.\n"
        "Detail: No SLO has been evaluated since 2026-03-02 10:00 UTC\n"
    )
    assert "First: look at the latest runs of minute_job in Dagster." in words.text


def test_our_own_trouble_without_a_title_is_told_by_what_is_known() -> None:
    title = compose(replace(PIPELINE, title=""), Action.TRIGGER).title

    assert title == "EMERGENCY evaluation: No SLO has been evaluated since… · for 2 h 10 min"


def test_without_a_first_action_the_runbook_of_the_slo_is_the_first() -> None:
    text = compose(replace(ALONE, first_action=""), Action.TRIGGER).text

    assert "First: run `calslo slos show ece_bound` and follow its runbook." in text


def test_almost_nothing_known_is_still_a_message() -> None:
    bare = Facts("", 1, "", "", "", "", BASE.severity, START, START, START)

    words = compose(bare, Action.TRIGGER)

    assert words.title == "CRITICAL calslo is breached"
    assert "None" not in words.text
    assert words.text.startswith("calslo is breached for an unknown number of slices.")


def test_commands_and_addresses_are_whole_or_left_out() -> None:
    long = replace(
        ALONE,
        answers=("calslo " + "x" * 300, "calslo alerts ack 1"),
        links=(Link("Runbook", "https://x.test/" + "y" * 400), Link("Odd", "java script:\nx")),
    )

    text = compose(long, Action.TRIGGER).text

    assert "  calslo alerts ack 1\n" in text
    assert "xxx" not in text
    assert "Runbook: left out, it is no address or too long\nOdd: left out" in text


def test_long_lists_are_counted() -> None:
    many = replace(ALONE, changes=tuple(f"change {i}" for i in range(9)))

    text = compose(many, Action.TRIGGER).text

    assert "Changed: change 2\nChanged: and 6 more" in text
    assert "change 3" not in text


def test_a_slice_of_control_characters_stays_in_its_line() -> None:
    odd = Member("country=\n\x1b[31m\u202eed\u2028", START, finding(0.06))

    words = compose(replace(ALONE, worst=(odd,)), Action.TRIGGER)

    assert words.text.splitlines()[0].endswith("is breached for country= \\x1b[31m\\u202eed.")
    assert is_harmless(words.title)


def test_times_far_from_the_clock_are_no_negative_durations() -> None:
    early = replace(ALONE, since=NOW + timedelta(hours=1))

    assert "for 0 s" in compose(early, Action.TRIGGER).text


def test_the_same_facts_make_the_same_message_after_storage() -> None:
    for action in Action:
        assert compose(Facts.from_json(BASE.to_json()), action) == compose(BASE, action)


@pytest.mark.parametrize("action", Action)
@pytest.mark.parametrize("letter", ["W", "\U0001f600", "\x07"])
def test_the_worst_of_all_facts_fits(action: Action, letter: str) -> None:
    """Ten thousand slices of 10 kB each; what is essential is still there."""
    words = compose(worst_facts(letter), action)

    assert len(words.title) <= LONGEST_TITLE
    assert len(words.text) <= LONGEST_TEXT
    assert is_harmless(words.title + words.text)
    for part in ("Promise:", "Direction:", "1. ", "and 9,997 more", "Owner:", "Why you:", "Next:", "Incident:"):
        assert part in words.text
    assert words.text.count("\n  ") == (0 if letter == "\x07" else 4)


@pytest.mark.parametrize("facts", KINDS)
@pytest.mark.parametrize("action", Action)
def test_ordinary_titles_fit_a_lock_screen(facts: Facts, action: Action) -> None:
    long = replace(facts, model="payments-checkout-risk-emea-2026-03-canary", slo=facts.slo, acked_by="ada.lovelace")

    assert len(compose(facts, action).title) <= 80
    assert len(compose(long, action).title) <= 80


@settings(steady, max_examples=100)
@given(nasty_facts, st.sampled_from(Action))
def test_no_facts_break_a_message(facts: Facts, action: Action) -> None:
    words = compose(facts, action)

    assert 0 < len(words.title) <= LONGEST_TITLE
    assert "\n" not in words.title
    assert 0 < len(words.text) <= LONGEST_TEXT
    assert is_harmless(words.title)
    assert is_harmless(words.text)
    assert compose(facts, action) == words


@settings(steady, max_examples=60)
@given(nasty_facts)
def test_facts_survive_storage_and_say_the_same(facts: Facts) -> None:
    assert compose(Facts.from_json(facts.to_json()), Action.TRIGGER) == compose(facts, Action.TRIGGER)


def test_france_has_its_own_limit() -> None:
    """The promise names the limit of most slices; one that differs is told beside its value."""
    alone = replace(BASE, slices=1, worst=(FRANCE,), peak=None)

    assert "Estimate: 0.071 [0.06, 0.08], n = 9,000, limit 0.062" in compose(alone, Action.TRIGGER).text
