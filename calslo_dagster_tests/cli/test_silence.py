"""`calslo silence` keeps what it was told, in every zone, and says what that means."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import Result

from calslo_dagster.alerting.silences import Silence, SilenceKind, Span, next_span
from calslo_dagster.pipeline.silence_alerts import list_silences
from calslo_dagster_tests.cli.running import CALSLO, clean_environ, run
from calslo_dagster_tests.pipeline.incident_room import MINUTE, Room, room_at

ADD = ("silence", "add", "slo=ece_bound", "--reason", "known")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    found = room_at(tmp_path)
    with found.project.store:
        yield found


def silence(*arguments: object) -> Result:
    return run("silence", *arguments, CALSLO_USER="ada")


def add(*arguments: object) -> Result:
    return run(*ADD, *arguments, CALSLO_USER="ada")


def only(room: Room) -> Silence:
    [found] = list_silences(room.project, now=datetime.now(UTC), is_complete=True)
    return found.silence


def test_a_silence_from_now_on_covers_what_is_open(room: Room) -> None:
    at = datetime.now(UTC) - MINUTE
    room.breach("intent=buy", "intent=refund", since=at)
    room.look(at)
    known = room.incident.id

    whole = add("--for", "2h")
    part = silence("add", "intent=~b.*", "--for", "2h", "--reason", "known", "--ticket", "OPS-1")

    assert (whole.exit_code, whole.stderr) == (0, "")
    assert whole.stdout.startswith('silence 1 of slo="ece_bound": 20')
    assert f"Held back from now on: {known} (breach of ece_bound, intent, prod, critical)\n" in whole.stdout
    assert "ada: known (OPS-1)" in part.stdout
    about = "breach of ece_bound, intent, prod, critical"
    assert f"Still told: {known} ({about}), of which it covers 1 of 2 slices\n" in part.stdout
    assert room.look(datetime.now(UTC) + timedelta(hours=1)) == 0


def test_an_emergency_is_told_all_the_same_and_how_not(room: Room) -> None:
    at = datetime.now(UTC) - MINUTE
    room.breach("*", slo="score_range", since=at)
    room.look(at)

    passes = silence("add", "slo=score_range", "--for", "2h", "--reason", "known")
    held = silence("add", "slo=score_range", "--for", "2h", "--reason", "known", "--covers-emergency")

    assert "is an emergency; --covers-emergency holds it back" in passes.stdout
    assert "emergencies too" in held.stdout
    assert "Held back from now on: " in held.stdout


def test_times_are_read_on_the_clock_of_the_zone_and_shown_on_both(room: Room) -> None:
    """The clock of Berlin skips an hour in between, so ten hours on it are nine."""
    done = add("--from", "2027-03-27T22:00", "--to", "2027-03-28T08:00", "--zone", "Europe/Berlin", "--maintenance")

    assert done.stdout == (
        'maintenance 1 of slo="ece_bound": 2027-03-27 21:00 to 2027-03-28 06:00 UTC (2027-03-27 22:00 to 2027-03-28 '
        "08:00 in Europe/Berlin); ada: known\nIt covers no open incident now.\n"
    )
    assert only(room).kind is SilenceKind.MAINTENANCE


def test_times_with_a_zone_of_their_own_need_no_other(room: Room) -> None:
    add("--from", "2027-03-27T22:00+09:00", "--for", "90m", "--zone", "Europe/Berlin")

    assert only(room).starts_at == datetime(2027, 3, 27, 13, tzinfo=UTC)
    assert only(room).ends_at == datetime(2027, 3, 27, 14, 30, tzinfo=UTC)


def test_a_recurring_one_keeps_to_the_clock_of_its_zone(room: Room) -> None:
    options = ("--rrule", "FREQ=WEEKLY;BYDAY=SU", "--zone", "Europe/Berlin", "--start", "01:00", "--duration", "4h")

    done = add(*options, "--from", "2027-03-01", "--to", "2027-05-01")

    assert "FREQ=WEEKLY;BYDAY=SU for 4h, until 2027-04-30 22:00 UTC, next 2027-03-07 00:00 to 2027-03-07 04:00 UTC" in (
        done.stdout
    )
    # On the Sunday when the clock changes, four hours on the clock are three.
    changes = datetime(2027, 3, 27, tzinfo=UTC)
    assert next_span(only(room), changes) == Span(
        datetime(2027, 3, 28, 0, tzinfo=UTC), datetime(2027, 3, 28, 3, tzinfo=UTC)
    )


def test_a_rule_may_give_the_time_of_day_itself(room: Room) -> None:
    done = add("--rrule", "FREQ=DAILY;BYHOUR=1;BYMINUTE=30", "--duration", "2h")

    assert done.exit_code == 0, done.output
    span = next_span(only(room), datetime.now(UTC))
    assert span is not None
    assert (span.start.hour, span.start.minute) == (1, 30)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((), "say how long: --for 2h, --to TIME, or --rrule with --start and --duration"),
        (("--for", "2h", "--to", "2027-03-01T12:00Z"), "--for and --to both say when it ends"),
        (("--for", "2h", "--rrule", "FREQ=DAILY"), "each occurrence of --rrule lasts --duration"),
        (("--for", "2h", "--start", "01:00"), "--start and --duration are for --rrule"),
        (("--rrule", "FREQ=DAILY", "--duration", "1h"), "say when each occurrence starts: --start 01:00"),
        (("--rrule", "FREQ=DAILY", "--duration", "1h", "--start", "1 am"), "--start 1 am is no time of day"),
        (("--rrule", "FREQ=DAILY", "--start", "01:00"), "needs a duration above 0, such as 4h"),
        (("--rrule", "FREQ=SOMETIMES", "--start", "01:00", "--duration", "1h"), "SOMETIMES"),
        (("--to", "2027-03-01T12:00"), "has no time zone; write 2027-03-01T12:00:00Z if it is UTC, or name its --zone"),
        (("--to", "tomorrow"), "--to: 'tomorrow' is not a time; write it as 2026-03-01T02:00:00Z"),
        (("--to", "2020-03-01T12:00Z"), "not after its start"),
        (("--for", "2h", "--zone", "Europe/Berlim"), "write an IANA name such as Europe/Berlin"),
        (("--for", "2h", "--reason", " "), "the reason is empty"),
        (("--for", "2h", "--author", " "), "nobody knows who you are"),
        (("--for", "2h", "intent~buy"), "'intent~buy' has the unknown operator ~"),
        (("--for", "2h", "intent=~["), "intent=~["),
        (("--for", "2h", "sloo=x"), "no label is named 'sloo'; did you mean 'slo'?"),
        (("--for", "2h", "kind=brech"), "no kind is named 'brech'; did you mean 'breach'?"),
        (("--for", "2h", "severity=high"), "no severity is named 'high'; there is info, warning, critical, emergency."),
        (("--for", "2h", "severity=high", "--force"), "no severity is named 'high'"),
        (("--for", "2h", "slo=ece_bond"), "did you mean 'ece_bound'? Add --force if it is meant."),
        (("--for", "2h", "environment=production"), "no environment is named 'production'; there is prod. Add"),
        (("--for", "400d"), "it would hold for 400 days without a break; 30 are the most that is usual. Add --force"),
    ],
)
def test_what_cannot_be_is_refused_with_the_remedy(room: Room, arguments: tuple[str, ...], says: str) -> None:
    done = add(*arguments)

    assert (done.exit_code, done.stdout) == (2, "")
    assert says in " ".join(done.stderr.split())
    assert list_silences(room.project, now=datetime.now(UTC), is_complete=True) == ()


def test_what_nobody_has_seen_yet_is_silenced_by_force(room: Room) -> None:
    done = silence("add", "slo=coming_soon", "--for", "400d", "--force", "--reason", "not yet")

    assert (done.exit_code, done.stderr) == (0, "")
    assert str(only(room).matchers[0]) == 'slo="coming_soon"'


@pytest.mark.parametrize("matchers", [(), ("slo=~.*",), ("intent=",)])
def test_everything_is_silenced_only_by_the_word_for_it(room: Room, matchers: tuple[str, ...]) -> None:
    refused = silence("add", *matchers, "--for", "1h", "--reason", "move")
    meant = silence("add", *matchers, "all", "--for", "1h", "--reason", "move")

    assert refused.exit_code == 2
    assert "leaves no alert out" in refused.stderr
    assert meant.exit_code == 0


def test_the_list_has_what_holds_and_the_past_on_demand(room: Room) -> None:
    assert silence("list").stdout == "No silence holds. Past ones: calslo silence list --all\n"
    add("--for", "2h")
    add("--for", "3h")
    silence("expire", "1")

    [held] = json.loads(silence("list", "--format", "json").stdout)
    both = json.loads(silence("list", "--all", "--format", "json").stdout)
    assert (held["id"], held["stage"], held["matchers"], held["held_back"]) == ("2", "active", ['slo="ece_bound"'], [])
    assert held["span"] == {"start": held["starts_at"], "end": held["ends_at"]}
    assert [(one["id"], one["stage"]) for one in both] == [("2", "active"), ("1", "expired")]
    shown = silence("list", "--all").stdout
    assert "2   active   0" in shown
    assert "expired 20" in shown


def test_the_end_of_a_silence_tells_what_it_held_back(room: Room) -> None:
    add("--for", "2h")
    now = datetime.now(UTC)
    room.breach("intent=buy", since=now)
    room.look(now)

    done = silence("expire", "1")

    assert done.stdout.startswith("silence 1 is expired.\n")
    assert f"It held back {room.incident.id} (ece_bound) at {now:%Y-%m-%d %H:%M} UTC." in done.stdout
    assert silence("expire", "1").stdout.startswith("silence 1 was over already.")
    assert room.look(datetime.now(UTC)) == 1


def test_an_unknown_number_is_answered_with_those_there_are(room: Room) -> None:
    add("--for", "2h")

    done = silence("expire", "7")

    assert done.exit_code == 2
    assert done.stderr == "calslo: there is no silence '7'; those that hold or will are: 1\n"


@pytest.mark.parametrize("database", ["sqlite", "postgresql"])
def test_a_kill_right_after_it_is_added_leaves_it_in_force(
    tmp_path: Path, database: str, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue("postgresql_database") if database == "postgresql" else ""
    room = room_at(tmp_path, store_url=url)
    command = [sys.executable, "-c", CALSLO, *ADD, "--for", "2h", "--author", "ada"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=clean_environ())
    assert process.stdout is not None

    said = process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=30)

    assert said.startswith('silence 1 of slo="ece_bound"')
    with room.project.store:
        now = datetime.now(UTC)
        room.breach("intent=buy", since=now)
        assert room.look(now) == 0
        assert room.incident.suppressed_by == "1"
