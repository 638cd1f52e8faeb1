"""`calslo audit verify` finds the first line that is not as it was written."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.pipeline.incident_room import room_at


def test_a_sound_log_prints_its_head_and_a_broken_one_its_first_line(tmp_path: Path) -> None:
    room, now = room_at(tmp_path), datetime.now(UTC)
    room.breach("intent=buy", since=now)
    room.look(now)
    room.project.store.close()

    sound = run("audit", "verify")
    head = sound.stdout.split()[-1]
    kept = run("audit", "verify", "--head", head)
    foreign = run("audit", "verify", "--head", "f" * 64)
    with sqlite3.connect(tmp_path / "state" / "calslo.db") as connection:
        connection.execute("DROP TRIGGER alert_events_no_update")
        connection.execute("UPDATE alert_events SET actor = 'eve' WHERE id = 2")
    connection.close()
    broken = run("audit", "verify")

    assert (sound.exit_code, kept.exit_code) == (0, 0)
    assert sound.stdout.startswith("4 lines are sound; head ")
    assert (foreign.exit_code, foreign.stdout) == (1, "")
    assert f"no line has the hash {'f' * 64}" in foreign.stderr
    assert broken.exit_code == 1
    assert broken.stderr == "broken at line 2: its content does not have its hash; 1 lines before it are sound\n"
