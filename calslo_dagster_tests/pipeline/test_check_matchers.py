"""A silence that would hold nothing back is refused before a night relies on it."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from calslo_dagster.alerting.silences import SilenceError
from calslo_dagster.pipeline.silence_alerts import add_silence, list_silences
from calslo_dagster.store import slices
from calslo_dagster.store.slices import SliceRow
from calslo_dagster_tests.pipeline.incident_room import NOON, Room, room_at
from calslo_dagster_tests.pipeline.silences import a_silence


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path)
    with found.project.store:
        yield found


def seen(room: Room) -> None:
    with room.project.store.write() as session:
        slices.put(
            session,
            [SliceRow("*", "", {}), *(SliceRow(f"intent={v}", "intent", {"intent": v}) for v in ("buy", "refund"))],
        )


def refusal(room: Room, *matchers: str, is_forced: bool = False, **changes: Any) -> list[str]:
    try:
        add_silence(room.project, a_silence(**changes), matchers, now=NOON, is_forced=is_forced)
    except SilenceError as error:
        return str(error).splitlines()
    return []


@pytest.mark.parametrize(
    ("matcher", "says"),
    [
        ("slice=intent=by", "no slice is named 'intent=by'; did you mean 'intent=buy'? Add --force if it is meant."),
        ("intent=refnd", "no intent is named 'refnd'; did you mean 'refund'? Add --force if it is meant."),
        ("intent=~sell|rent", 'intent=~"sell|rent" speaks of no intent there is; there is buy, refund. Add --force'),
        ("model=intents", "no model is named 'intents'; did you mean 'intent'? Add --force if it is meant."),
    ],
)
def test_a_value_that_nobody_has_seen_needs_force(room: Room, matcher: str, says: str) -> None:
    seen(room)

    [told] = refusal(room, matcher)

    assert told.startswith(says)
    assert list_silences(room.project, now=NOON) == ()
    assert refusal(room, matcher, is_forced=True) == []


@pytest.mark.parametrize("matcher", ["slice=intent=by", "intent=refnd"])
def test_before_anything_is_measured_every_slice_may_come(room: Room, matcher: str) -> None:
    assert refusal(room, matcher) == []


def test_what_fires_is_known_even_if_the_settings_are_not_any_more(room: Room, tmp_path: Path) -> None:
    seen(room)
    room.breach("intent=gone")
    room.look()
    again = room_at(tmp_path, more="slos: {disable: [ece_bound]}\n")
    with again.project.store:
        assert refusal(again, "slo=ece_bound", "intent=gone") == []
        assert refusal(again, "slo=score_rnge")


def test_everything_that_is_wrong_is_told_at_once(room: Room) -> None:
    told = refusal(room, "sloo=x", "kind=brech", "slo=ece_bond", ends_at=NOON + timedelta(days=400))

    assert [line.partition(";")[0] for line in told] == [
        "no label is named 'sloo'",
        "no kind is named 'brech'",
        "no SLO is named 'ece_bond'",
        "it would hold for 400 days without a break",
    ]


def test_a_rule_may_recur_for_ever_as_long_as_it_pauses(room: Room) -> None:
    rule: dict[str, Any] = {"rrule": "FREQ=WEEKLY;BYHOUR=1;BYMINUTE=0", "ends_at": None}

    assert refusal(room, "kind=breach", duration=timedelta(hours=4), **rule) == []
    yearly = {**rule, "rrule": "FREQ=YEARLY;BYMONTH=4;BYMONTHDAY=1;BYHOUR=1;BYMINUTE=0"}
    assert "it would hold for 60 days" in refusal(room, "kind=breach", duration=timedelta(days=60), **yearly)[0]
