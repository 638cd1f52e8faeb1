"""What was wrong over a span is played by the alert rules in memory."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from calslo_dagster.alerting.model import Kind, Policy, Severity, Signal, Step, Subject
from calslo_dagster.alerting.playback import Page, Spell, play
from calslo_dagster.alerting.rules import Rules

START = datetime(2026, 3, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAITING = Rules(policies={"default": Policy("default", (Step(wait=HOUR / 2, channels=("team",)),))})


def spell(first: float, last: float | None, slice_name: str = "*", severity: Severity = Severity.CRITICAL) -> Spell:
    start, end = START + first * HOUR, None if last is None else START + last * HOUR
    return Spell(Signal(Subject(Kind.BREACH, "ece_bound", slice_name), severity, start, start), start, end)


def played(
    *spells: Spell, rules: Rules = WAITING, judged: Mapping[tuple[str, str], int] | None = None
) -> tuple[Page, ...]:
    return play(spells, rules, lambda _: judged or {}, until=START + 48 * HOUR)


def test_slices_that_overlap_are_one_incident() -> None:
    (page,) = played(spell(1, 5, "country=de"), spell(3, 8, "country=fr"))

    assert page.slices == ("country=de", "country=fr")
    assert (page.opened_at, page.resolved_at) == (START + HOUR, START + 8 * HOUR)


def test_what_is_over_before_its_first_message_pages_nobody() -> None:
    short, long = played(spell(1, 1.25), spell(10, 12))

    assert not short.is_told
    assert long.told_at == START + 10.5 * HOUR


def test_most_slices_at_once_are_one_worse() -> None:
    spells = [spell(1, 5, f"country={name}") for name in ("de", "fr", "it")]
    (page,) = played(*spells, judged={("ece_bound", ""): 4})

    assert page.severity is Severity.EMERGENCY


def test_what_comes_and_goes_becomes_one_incident_that_stays_open() -> None:
    pages = played(*(spell(n / 2, n / 2 + 0.25) for n in range(8)))

    assert len(pages) < 8
    assert pages[-1].resolved_at is not None


def test_what_goes_on_to_the_end_is_not_resolved() -> None:
    (page,) = played(spell(1, None))

    assert page.resolved_at is None
    assert page.is_told


def test_nothing_wrong_is_no_incident() -> None:
    assert played() == ()
