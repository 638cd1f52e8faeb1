"""Who would be told is known before anybody is."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline.preview_route import Preview, Taken, preview_route
from calslo_dagster.pipeline.silence_alerts import add_silence
from calslo_dagster.store import deliveries
from calslo_dagster_tests.pipeline.incident_room import MINUTE, NOON, SLO, Room, room_at
from calslo_dagster_tests.pipeline.silences import a_silence

ALERTING = """\
  group_wait: 1m
  routes:
    - {match: ['slo=~"p99_.*"'], policy: latency}
    - {match: ['severity="emergency"'], policy: everybody}
  policies:
    default: [{notify: [log]}]
    latency: [{wait: 5m, notify: [log], at_least: critical}, {wait: 30m, repeat: 2}]
    everybody: [{notify: [log], still: firing}]
"""


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path, alerting=ALERTING)
    with found.project.store:
        yield found


def preview(room: Room, **labels: str) -> Preview:
    return preview_route(room.project, labels, now=NOON)


def test_the_first_route_that_matches_is_named_with_its_steps(room: Room) -> None:
    found = preview(room, slo="p99_latency")

    assert (found.policy, found.why) == ("latency", 'route 1 (slo=~"p99_.*") names policy latency')
    assert found.steps == (
        Taken(6 * MINUTE, "tell log", "while unacked and if it is critical or worse"),
        Taken(36 * MINUTE, "start over, 2 times at most", "while unacked"),
    )
    assert found.repeat == timedelta(hours=4)


def test_what_is_left_out_has_its_usual_value(room: Room) -> None:
    found = preview(room, slo="score_range")

    assert dict(found.labels) == {
        "kind": "breach",
        "slo": "score_range",
        "slice": "*",
        "model": "intent",
        "environment": "prod",
        "severity": "emergency",
    }
    assert found.policy == "everybody"
    assert found.steps == (Taken(MINUTE, "tell log", "while firing"),)


def test_it_says_what_really_happens(room: Room) -> None:
    """The preview of an alert and the alert itself take the same way."""
    foreseen = preview(room, slo="p99_latency", intent="buy")
    room.breach("intent=buy", slo="p99_latency")
    room.look()
    room.look(NOON + 6 * MINUTE)

    with room.project.store.read() as session:
        [sent] = deliveries.of_incident(session, room.incident.id)
    assert sent.reason.startswith(f"policy {foreseen.policy}, round 1, step 1")
    assert sent.due_at - NOON == foreseen.steps[0].after


def test_what_a_channel_does_not_take_goes_to_the_fall_back(room: Room) -> None:
    found = preview(room, kind="pipeline", slo="delivery:slack")

    assert (found.policy, found.why) == ("fallback", "it is about delivery:slack, which takes no messages")


def test_silences_and_alerts_that_explain_it_are_told(room: Room) -> None:
    muted = preview(room, slo=SLO, slice="intent=buy")
    assert muted.held == ""
    assert any(
        mute.startswith('bad scores: while an alert with kind="breach", slo="score_range"') for mute in muted.mutes
    )

    room.breach("*", slo="score_range")
    room.look()
    assert preview(room, slo=SLO, slice="intent=buy").held == "score_range fires and explains it (mute bad scores)"

    add_silence(room.project, a_silence(), ["intent=buy"], now=NOON)
    assert preview(room, slo=SLO, slice="intent=buy").held == "silence 1 by ada: known"
    assert preview(room, slo=SLO, intent="buy").held == "silence 1 by ada: known"


def test_labels_that_no_alert_has_are_refused_all_at_once(room: Room) -> None:
    with pytest.raises(CalsloError) as raised:
        preview(room, sloo="x", severity="fatal", slo="ece_bond", kind="slow")

    said = str(raised.value)
    assert "no label is named 'sloo'; did you mean 'slo'?" in said
    assert "no severity is named 'fatal'" in said
    assert "no kind is named 'slow'" in said
    assert "did you mean 'ece_bound'?" in said
