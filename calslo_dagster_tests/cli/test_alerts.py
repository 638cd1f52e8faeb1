"""`calslo alerts` shows what is open, explains it, and takes the answers of people."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from calslo_dagster.alerting.model import IncidentState
from calslo_dagster.store import alert_events, deliveries
from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.peers.running import Peer, running_peer
from calslo_dagster_tests.pipeline.incident_room import HOUR, MINUTE, POLICY, Room, room_at

BUY, REFUND = "intent=buy", "intent=refund"
NOBODY = '  hook: {kind: webhook, url: "http://127.0.0.1:9/x"}\n'


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path)
    with found.project.store:
        yield found


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC)


def alerts(*arguments: object, **environ: str) -> Result:
    return run("alerts", *arguments, **{"CALSLO_USER": "ada", **environ})


def happen(room: Room, *slices: str, slo: str = "ece_bound", before: timedelta = MINUTE) -> str:
    """Make the slices breach so long ago, look at it, and return the incident's id."""
    at = datetime.now(UTC) - before
    room.breach(*slices, slo=slo, since=at)
    room.look(at)
    return room.incident.id


def test_nothing_is_open_at_first(room: Room) -> None:
    assert alerts("list").output == "No incident is open. The last ones: calslo alerts list --all\n"
    assert json.loads(alerts("list", "--format", "json").output) == []


def test_the_list_has_the_worst_first_and_what_comes_next(room: Room) -> None:
    calm = happen(room, BUY, REFUND)
    loud = happen(room, "*", slo="score_range")

    shown = alerts("list").stdout.splitlines()

    assert shown[1].split()[:5] == ["id", "severity", "state", "SLO", "model"]
    assert shown[2].split()[:6] == [loud, "emergency", "firing", "score_range", "intent", "1"]
    assert shown[3].split()[:6] == [calm, "critical", "firing", "ece_bound", "intent", "2"]
    assert "log at " in shown[2]
    assert "UTC unless acknowledged" in shown[2]


def test_the_list_is_there_for_machines_and_has_the_past_on_demand(room: Room) -> None:
    known = happen(room, BUY)
    alerts("resolve", known, "--note", "test traffic")
    again = happen(room, BUY, before=timedelta(0))

    [open_one] = json.loads(alerts("list", "--format", "json").stdout)
    both = json.loads(alerts("list", "--all", "--format", "json").stdout)

    assert {**open_one, "since": "", "opened_at": "", "next": "", "next_repeat_at": ""} == {
        "id": again,
        "severity": "critical",
        "peak_severity": "critical",
        "state": "firing",
        "kind": "breach",
        "slo": "ece_bound",
        "model": "intent",
        "environment": "prod",
        "episode": 2,
        "slices": 1,
        "since": "",
        "opened_at": "",
        "acked_at": None,
        "ack_expires_at": None,
        "resolved_at": None,
        "next_repeat_at": "",
        "acked_by": None,
        "suppressed_by": None,
        "flaps": 0,
        "reason": "",
        "next": "",
    }
    assert [one["id"] for one in both] == [again, known]
    assert f"{known}  critical  resolved" in alerts("list", "--all").stdout
    assert "resolved by ada: test traffic" in alerts("list", "--all").stdout


def test_an_incident_is_shown_with_all_that_is_known(tmp_path: Path, now: datetime) -> None:
    room = room_at(tmp_path, channels=NOBODY, alerting=POLICY.replace("[log]}", "[log, hook]}", 1))
    with room.project.store:
        known = happen(room, BUY, REFUND)
        alerts("ack", known, "--note", "on it")

        shown = alerts("show", known[:6])

    assert shown.exit_code == 0
    said = " ".join(shown.stdout.split())
    assert "UPDATE CRITICAL intent · Calibration error 0.08 > 0.05 · 2 slices" in said
    assert "Promise: at most 0.05 over 1 d" in said
    assert "acknowledged by ada until" in said
    assert "policy default, round 1, step 2 of 2, acked" in said
    assert "next starts over at" in said
    assert "Slices by harm slice state since (UTC)" in said
    assert "acked ada (cli)" in said
    assert "on it" in said
    assert "trigger log sent 1" in said
    assert "attempt 1: network hook: ConnectError" in said


def test_an_acknowledgement_is_in_force_and_on_record(room: Room, now: datetime) -> None:
    known = happen(room, BUY)

    done = alerts("ack", known[:4], "--for", "2h", "--note", "rolling back")

    until = (now + 2 * HOUR).strftime("%Y-%m-%d %H:")
    assert done.exit_code == 0
    assert done.stdout.startswith(f"incident {known} is acknowledged by ada until {until}")
    assert (room.incident.state, room.incident.acked_by) == (IncidentState.ACKED, "ada")
    with room.project.store.read() as session:
        event = alert_events.of_incident(session, known)[-1].event
        assert [one.action for one in deliveries.of_incident(session, known)] == ["trigger", "ack"]
    assert (event.kind, event.actor, event.source) == ("acked", "ada", "cli")
    assert event.reason.endswith("rolling back")
    assert room.look(now + HOUR) == 0
    assert alerts("ack", known).stdout == f"incident {known} is acknowledged by ada already.\n"


def test_an_acknowledgement_is_taken_back(room: Room) -> None:
    known = happen(room, BUY)
    alerts("ack", known)

    done = alerts("unack", known, CALSLO_USER="bob")

    assert done.stdout == f"incident {known} is no longer acknowledged; its escalation starts over.\n"
    assert alerts("unack", known).stdout == f"incident {known} is not acknowledged.\n"
    assert room.look(datetime.now(UTC)) == 1


def test_an_incident_is_resolved_with_words(room: Room) -> None:
    known = happen(room, BUY)

    assert alerts("resolve", known).exit_code == 2
    done = alerts("resolve", known, "--note", "test traffic", "--author", "eve")

    assert done.stdout == f"incident {known} is resolved.\n"
    assert room.incident.reason == "resolved by eve: test traffic"
    assert alerts("ack", known).stdout.startswith(f"incident {known} is resolved already: resolved by eve")


@pytest.mark.parametrize("command", [("show",), ("ack",), ("unack",), ("resolve", "--note", "x"), ("why",)])
def test_an_unknown_id_is_answered_with_the_open_ones(room: Room, command: tuple[str, ...]) -> None:
    known = happen(room, BUY)

    done = alerts(command[0], "zz", *command[1:])

    assert (done.exit_code, done.stdout) == (2, "")
    about = "(breach of ece_bound, intent, prod)"
    assert done.stderr == f"calslo: no incident begins with 'zz'; open are: {known} {about}\n"


def test_letters_that_begin_several_ids_are_refused(room: Room) -> None:
    from dataclasses import replace

    from calslo_dagster.store import incidents
    from calslo_dagster.store.session import Lock

    known = happen(room, BUY)
    with room.project.store.write(Lock.ALERTS) as session:
        twin = replace(room.incident, id=known[:5] + "zzz", group_key="other")
        incidents.put(session, [twin])

    done = alerts("show", known[:5])

    assert done.exit_code == 2
    about = "(breach of ece_bound, intent, prod)"
    assert done.stderr == (
        f"calslo: several incidents begin with {known[:5]}; write more letters of the id: "
        f"{known} {about}; {known[:5]}zzz {about}\n"
    )
    assert alerts("show", known[:6]).exit_code == 0


def test_somebody_must_answer_for_it(room: Room) -> None:
    done = alerts("ack", happen(room, BUY), "--author", " ")

    assert done.exit_code == 2
    assert "nobody knows who you are; write --author NAME, or set CALSLO_USER" in done.stderr


def test_the_login_is_taken_where_nothing_else_says_who(room: Room) -> None:
    done = run("alerts", "ack", happen(room, BUY), LOGNAME="grace", CALSLO_USER="")

    assert "is acknowledged by grace until" in done.stdout


@pytest.mark.parametrize(("length", "says"), [("2", "write a whole number and one of"), ("0h", "longer than nothing")])
def test_a_time_that_is_none_is_refused(room: Room, length: str, says: str) -> None:
    done = alerts("ack", "x", "--for", length)

    assert done.exit_code == 2
    assert says in done.stderr


def test_why_prints_the_answer_and_the_chain(room: Room) -> None:
    known = happen(room, BUY)

    by_id = alerts("why", known)
    by_slice = alerts("why", "--slo", "ece_bound", "--slice", BUY)
    quiet = alerts("why", "--slo", "ece_bound", "--slice", BUY, "--at", "2026-03-01T12:00:00Z")

    assert f"incident {known} about ece_bound at " in by_id.stdout
    assert all("log had been told at " in one.stdout for one in (by_id, by_slice))
    topics = [line.split()[0] for line in by_id.stdout.splitlines()[4:] if line]
    assert topics == ["seen", "rule", "rule", "incident", "told", "told", "next", "More:"]
    assert f"More: calslo alerts show {known}" in by_id.stdout
    assert "Nothing was open then: nothing had been measured by then." in quiet.stdout


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "name an incident by its ID, or an SLO with --slo, and not both"),
        (("abc", "--slo", "ece_bound"), "and not both"),
        (("--slo", "ece_bond"), "no SLO is named 'ece_bond'; did you mean 'ece_bound'?"),
        (("--slo", "ece_bound", "--at", "2026-03-01T12:00:00"), "has no time zone"),
        (("--slo", "ece_bound", "--at", "2999-03-01T12:00:00Z"), "lies in the future"),
    ],
)
def test_a_question_that_cannot_be_answered_says_why(room: Room, arguments: tuple[str, ...], says: str) -> None:
    done = alerts("why", *arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert says in done.stderr


def test_what_a_slice_is_called_is_shown_without_what_a_terminal_would_obey(room: Room) -> None:
    known = happen(room, "intent=\x1b[31mred")

    shown = alerts("show", known).stdout + alerts("why", known).stdout

    assert "\x1b" not in shown
    assert "red" in shown


@pytest.fixture(scope="module")
def peer() -> Iterator[Peer]:
    with running_peer() as found:
        yield found


def test_a_test_that_arrives_is_zero_and_one_that_does_not_is_one(tmp_path: Path, peer: Peer) -> None:
    (tmp_path / "hook").write_text(peer.webhook)
    room = room_at(tmp_path, channels='  hook: {kind: webhook, url: "file:hook"}\n')
    room.project.store.close()

    arrived = alerts("test", "--channel", "hook")
    peer.behave("403", "/webhook")
    refused = alerts("test", "--channel", "hook")

    assert (arrived.exit_code, arrived.stderr) == (0, "")
    assert arrived.stdout.startswith("hook: arrived in ")
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "did not arrive within " in refused.stderr
    assert "authError: hook: answered 403" in refused.stderr
    assert "canaryPathOfReceiver42" not in refused.stderr


def test_an_unknown_channel_is_bad_usage(room: Room) -> None:
    done = alerts("test", "--channel", "lg")

    assert done.exit_code == 2
    assert done.stderr == "calslo: no channel is named 'lg'; did you mean 'log'?\n"


def test_a_store_that_is_not_there_is_named_with_the_remedy(tmp_path: Path) -> None:
    done = run("alerts", "list", CALSLO_HOME=str(tmp_path / "new"))

    assert done.exit_code == 2
    assert 'run "calslo db upgrade" to create the store' in done.stderr
