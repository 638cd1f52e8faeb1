"""For any slice and any instant there is one complete answer to why somebody was told, or nobody was."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.model import Action, DeliveryStatus, Kind
from calslo_dagster.errors import CalsloError, SettingsError
from calslo_dagster.pipeline.explain_alerts import Explanation, explain_incident, explain_slice
from calslo_dagster.pipeline.respond_to_alerts import Answer, UnknownIncident
from calslo_dagster.pipeline.silence_alerts import add_silence, expire_silence
from calslo_dagster.pipeline.trace_decisions import Topic
from calslo_dagster.slo.model import Verdict
from calslo_dagster.store import deliveries, incidents
from calslo_dagster_tests.pipeline.incident_room import HOUR, MINUTE, NOON, SLO, Room, kinds, room_at
from calslo_dagster_tests.pipeline.silences import a_silence

LATER = NOON + 6 * HOUR
BUY = "intent=buy"


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path)
    with found.project.store:
        yield found


def why(room: Room, at: datetime | None = None, *, slice_name: str = BUY, slo: str = SLO) -> Explanation:
    return explain_slice(room.project, slo, slice_name, at=at, now=LATER)


def words(found: Explanation, topic: Topic) -> str:
    return "\n".join(one.words for one in found.reasons if one.topic is topic)


def test_the_chain_leads_from_what_was_measured_to_what_arrived(room: Room) -> None:
    room.measure(BUY, Verdict.BREACHED)
    room.breach(BUY)
    room.look()

    found = why(room, NOON + MINUTE)

    assert found.conclusion == (
        "log had been told at 2026-03-10 12:00:00 UTC. It is one incident until it ends, so nothing was sent twice "
        f"({room.incident.id})."
    )
    assert kinds(found.reasons) == ["seen", "rule", "incident", "told"]
    assert "the window 2026-03-09 12:00 to 2026-03-10 12:00 UTC was breached: ECE is 0.08." in words(found, Topic.SEEN)
    assert "a breach had gone on since 2026-03-10 11:45:00 UTC" in words(found, Topic.SEEN)
    assert "opens with 1 breached window and closes with 2 met windows in a row" in words(found, Topic.RULE)
    assert "no route matches, so policy default" in words(found, Topic.RULE)
    assert "trigger to log: arrived at 2026-03-10 12:00:00 UTC (written)" in words(found, Topic.TOLD)
    assert found.incident_id == room.incident.id


def test_the_chain_is_the_same_on_both_databases(room: Room, tmp_path: Path, postgresql_database: str) -> None:
    (tmp_path / "other").mkdir()
    other = room_at(tmp_path / "other", store_url=postgresql_database)
    found = []
    with other.project.store:
        for one in (room, other):
            add_silence(one.project, a_silence(ends_at=NOON + MINUTE), [f"slo={SLO}"], now=NOON)
            one.breach(BUY)
            one.look()
            one.look(NOON + MINUTE)
            one.answer(Answer.ACK, NOON + 2 * MINUTE)
            found += [[why(one, NOON + n * MINUTE) for n in range(4)]]

    assert found[0] == found[1]


def test_an_incident_is_explained_as_it_is_now_with_what_comes_next(room: Room) -> None:
    room.breach(BUY)
    room.look()

    found = explain_incident(room.project, room.incident.id[:5], at=None, now=NOON + MINUTE)

    assert found.subject == f"incident {room.incident.id} about ece_bound"
    assert words(found, Topic.NEXT) == "log at 12:15 UTC unless acknowledged"
    assert "ece_bound of intent=buy since 2026-03-10 11:45:00 UTC: ECE is 0.08" in words(found, Topic.SEEN)


def test_a_silence_is_named_as_the_reason(room: Room) -> None:
    add_silence(room.project, a_silence(reason="deploy of v13"), [f"slo={SLO}"], now=NOON)
    room.breach(BUY)
    room.look()

    found = why(room, NOON + MINUTE)

    assert found.conclusion == "Nobody was told: silence 1 by ada: deploy of v13."
    assert "silenced: not told: silence 1 by ada: deploy of v13" in words(found, Topic.HELD)


def test_after_the_silence_the_page_went_out(room: Room) -> None:
    add_silence(room.project, a_silence(), [f"slo={SLO}"], now=NOON)
    room.breach(BUY)
    room.look()
    expire_silence(room.project, "1", by="bob", now=NOON + 5 * MINUTE)
    room.look(NOON + 5 * MINUTE)

    assert why(room, NOON + 4 * MINUTE).conclusion.startswith("Nobody was told: silence 1")
    found = why(room, NOON + 6 * MINUTE)
    assert found.conclusion.startswith("log had been told at 2026-03-10 12:05:00 UTC.")
    assert "unsuppressed: nothing holds it back any more" in words(found, Topic.HELD)


def test_a_silence_is_named_even_where_nothing_was_due(room: Room) -> None:
    """Nothing in the log says so, because nothing had to be decided."""
    room.breach(BUY)
    room.look()
    add_silence(room.project, a_silence(starts_at=NOON + MINUTE), [f"slo={SLO}"], now=NOON + MINUTE)

    found = why(room, NOON + 2 * MINUTE)

    assert found.conclusion.endswith("nobody was told any more: silence 1 by ada: known.")
    assert "silence 1 by ada covered it (known); nothing was due meanwhile" in words(found, Topic.HELD)
    assert words(why(room, NOON + MINUTE / 2), Topic.HELD) == ""


def test_another_alert_that_explains_it_is_named(room: Room) -> None:
    room.breach("*", slo="score_range")
    room.breach(BUY)
    room.look()

    found = why(room, NOON + MINUTE)

    assert found.conclusion == "Nobody was told: score_range fires and explains it (mute bad scores)."


def test_whoever_has_acknowledged_is_named_until_they_have_not(room: Room) -> None:
    room.breach(BUY)
    room.look()
    room.answer(Answer.ACK, NOON + 5 * MINUTE, note="on it")
    room.look(NOON + 20 * MINUTE)
    room.answer(Answer.UNACK, NOON + 30 * MINUTE)

    held = why(room, NOON + 20 * MINUTE)

    assert "no further page, since ada has acknowledged until 2026-03-10 20:05 UTC: on it" in held.conclusion
    assert "acked by ada (cli): until" in words(held, Topic.ANSWERED)
    assert "acknowledged" not in why(room, NOON + MINUTE).conclusion
    assert "acknowledged" not in why(room, NOON + 31 * MINUTE).conclusion


def test_a_slice_that_joined_was_no_page_of_its_own(room: Room) -> None:
    room.breach(BUY)
    room.look()
    room.breach(BUY, "intent=refund")
    room.look(NOON + MINUTE)

    found = why(room, NOON + 2 * MINUTE, slice_name="intent=refund")

    assert "joined: 1 slice is breached too (intent=refund)" in words(found, Topic.INCIDENT)
    assert "it pages with the incident that opened at 2026-03-10 12:00:00 UTC, not anew" in words(found, Topic.INCIDENT)
    before = why(room, NOON + MINUTE / 2, slice_name="intent=refund")
    assert before.incident_id is None
    assert "its next alert fired at 2026-03-10 12:01:00 UTC" in words(before, Topic.INCIDENT)


def test_a_message_that_did_not_arrive_says_why(tmp_path: Path) -> None:
    room = room_at(
        tmp_path,
        channels='  hook: {kind: webhook, url: "http://127.0.0.1:9/x"}\n',
        alerting="  policies: {default: [{notify: [hook]}]}\n",
    )
    with room.project.store:
        room.breach(BUY)
        room.look()

        found = why(room, NOON + MINUTE)

    assert found.conclusion.startswith("Nobody had been told yet: trigger to hook: not sent yet after 1 attempts")
    assert "network" in found.conclusion


def test_the_end_says_who_was_told_of_it(room: Room) -> None:
    room.breach(BUY)
    room.look()
    room.breach(BUY, until=NOON + HOUR)
    room.look(NOON + HOUR)

    found = explain_incident(room.project, room.incident.id, at=None, now=LATER)

    assert found.conclusion == "It is over since 2026-03-10 13:00:00 UTC: it is well again. Told so: log."
    after = why(room, NOON + 2 * HOUR)
    assert after.conclusion.startswith("Nothing was open then: ")
    assert f"its last alert ended at 2026-03-10 13:00:00 UTC (incident {room.incident.id})" in words(
        after, Topic.INCIDENT
    )


def test_what_was_over_before_anybody_knew_was_told_to_nobody(room: Room) -> None:
    add_silence(room.project, a_silence(), [f"slo={SLO}"], now=NOON)
    room.breach(BUY)
    room.look()
    room.breach(BUY, until=NOON + MINUTE)
    room.look(NOON + MINUTE)

    found = explain_incident(room.project, room.incident.id, at=None, now=LATER)

    assert found.conclusion.endswith("Nobody had been told of it, so nobody was told of its end.")


def test_what_a_person_resolved_says_so_although_the_breach_goes_on(room: Room) -> None:
    room.breach(BUY)
    room.look()
    room.answer(Answer.RESOLVE, NOON + MINUTE, note="test traffic")
    room.look(NOON + 2 * MINUTE)

    assert why(room, NOON + 3 * MINUTE).conclusion == (
        "Nothing was open then: resolved by hand by ada: test traffic at 2026-03-10 12:01:00 UTC; the same trouble "
        "does not open it again."
    )


@pytest.mark.parametrize(
    ("verdict", "because"),
    [
        (Verdict.MEETING, "its last window met the promise"),
        (Verdict.WARNING, "its last window met the promise, with a warning"),
        (
            Verdict.UNKNOWN,
            "its last window was unknown (Only 3 of 200 events are there.), which neither opens nor ends",
        ),
        (Verdict.BREACHED, "its last window was breached, but too few in a row to open a breach"),
    ],
)
def test_where_nothing_was_open_the_last_window_says_why(room: Room, verdict: Verdict, because: str) -> None:
    room.measure(BUY, verdict)

    found = why(room, NOON + MINUTE)

    assert found.conclusion.startswith(f"Nothing was open then: {because}")
    assert words(found, Topic.INCIDENT) == "it has never been part of an incident"


def test_a_breach_that_was_found_later_says_when(room: Room) -> None:
    room.breach(BUY)
    room.look(NOON + 10 * MINUTE)

    found = why(room, NOON + 5 * MINUTE)

    assert found.conclusion == (
        "Nothing was open then: the breach had not been seen yet; its alert fired at 2026-03-10 12:10:00 UTC."
    )


def test_before_anything_was_measured_there_was_nothing(room: Room) -> None:
    assert why(room, NOON).conclusion == "Nothing was open then: nothing had been measured by then."


def test_a_breach_still_pending_is_told_as_such(tmp_path: Path) -> None:
    room = room_at(tmp_path, more="slos: {ece_bound: {open_after: 3}}\n")
    with room.project.store:
        room.breach("intent=other")
        room.measure(BUY, Verdict.BREACHED)
        room.look()

        found = why(room, NOON + MINUTE)

    assert found.conclusion.startswith("Nothing was open then: it was pending since 2026-03-10 12:00:00 UTC")
    assert "opens with 3 breached windows in a row" in words(found, Topic.RULE)


def test_so_many_of_so_many_windows_is_told_as_such(tmp_path: Path) -> None:
    room = room_at(tmp_path, more="slos: {ece_bound: {open_after: 3, open_within: 5}}\n")
    with room.project.store:
        assert "a breach opens with 3 breached of 5 windows and closes with 2 met" in words(why(room, NOON), Topic.RULE)


def test_an_incident_is_not_there_before_it_opens(room: Room) -> None:
    room.breach(BUY)
    room.look()

    found = explain_incident(room.project, room.incident.id, at=NOON - MINUTE, now=LATER)

    assert found.conclusion == f"Nothing was open then: incident {room.incident.id} opened at 2026-03-10 12:00:00 UTC."


def test_our_own_faults_are_explained_too(room: Room) -> None:
    from calslo_dagster.pipeline.watch_ourselves import note_failed_run

    note_failed_run(room.project, run_id="r1", job="minute_job", reason="disk full", now=NOON)
    room.look()

    found = why(room, NOON + MINUTE, slo="job:minute_job", slice_name="*")

    assert found.conclusion.startswith("log had been told")
    assert "disk full" in words(found, Topic.INCIDENT)
    assert room.incident.labels["kind"] == Kind.PIPELINE


def test_what_does_not_exist_is_refused_with_the_way_out(room: Room) -> None:
    with pytest.raises(SettingsError, match="did you mean 'ece_bound'"):
        why(room, slo="ece_bond")
    with pytest.raises(UnknownIncident, match="open are: none"):
        explain_incident(room.project, "abc", at=None, now=LATER)
    with pytest.raises(CalsloError, match="lies in the future; what will be told is in `calslo route --explain`"):
        why(room, LATER + MINUTE)


def test_a_retired_slo_keeps_its_history(room: Room, tmp_path: Path) -> None:
    room.breach(BUY)
    room.look()
    again = room_at(tmp_path, more="slos: {disable: [ece_bound]}\n")
    with again.project.store:
        again.look(NOON + MINUTE)

        assert why(again, NOON + MINUTE / 2).conclusion.startswith("log had been told")
        found = explain_incident(again.project, again.incident.id, at=None, now=LATER)

    assert "SLO ece_bound is retired" in found.conclusion


def test_every_question_has_an_answer(room: Room) -> None:
    """Random breaches, silences and answers, then random questions: no answer is missing or contradicts the rows."""
    draw = random.Random(5)
    slices = ["*", BUY, "intent=refund"]
    at = NOON
    for _ in range(15):
        at += timedelta(minutes=draw.randrange(1, 30))
        room.breach(*draw.sample(slices, draw.randrange(3)), since=at)
        if draw.random() < 0.3:
            silence = a_silence(starts_at=at, ends_at=at + HOUR, created_at=at)
            add_silence(room.project, silence, [f"slice={draw.choice(slices)}"], now=at)
        room.look(at)
        if draw.random() < 0.3:
            room.answer(draw.choice(list(Answer)), at, note="so")

    for _ in range(60):
        when, name = NOON + (at - NOON) * draw.random(), draw.choice(slices)
        found = explain_slice(room.project, SLO, name, at=when, now=at)
        assert found.conclusion
        assert {Topic.SEEN, Topic.RULE, Topic.INCIDENT} <= {one.topic for one in found.reasons}
        assert all(one.at is None or one.at <= when for one in found.reasons if one.topic is not Topic.INCIDENT)
        with room.project.store.read() as session:
            then = incidents.between(session, start=when, end=when + timedelta.resolution)
            sent = deliveries.of_incident(session, found.incident_id or "")
        assert found.incident_id is None or found.incident_id in {one.id for one in then}
        assert then or found.conclusion.startswith("Nothing was open then")
        pages = [one for one in sent if one.action is Action.TRIGGER and one.ended_at and one.ended_at <= when]
        assert any(one.status is DeliveryStatus.SENT for one in pages) == found.conclusion.startswith(
            "log had been told"
        )
