"""The audit log is whole, or the first line that is not is named."""

import sqlite3
from pathlib import Path

from calslo_dagster.pipeline.audit_alerts import audit_alerts
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store.alert_events import FIRST
from calslo_dagster_tests.pipeline.incident_room import NOON, room_at


def test_an_empty_log_is_sound(project: Project) -> None:
    found = audit_alerts(project)

    assert (found.events, found.head, found.broken_id) == (0, FIRST, None)


def test_a_log_grows_from_a_head_that_it_keeps(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    room.breach("intent=buy")
    room.look()
    first = audit_alerts(room.project)
    room.breach()
    room.look(NOON)

    with room.project.store:
        assert audit_alerts(room.project, expected=first.head).broken_id is None
        assert audit_alerts(room.project).events > first.events
        assert audit_alerts(room.project, expected="f" * 64).broken_id is not None


def test_a_flipped_letter_is_found(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    room.breach("intent=buy")
    room.look()
    with sqlite3.connect(tmp_path / "state" / "calslo.db") as connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute("UPDATE alert_events SET reason = reason || '.' WHERE id = 2")
    connection.close()

    with room.project.store:
        found = audit_alerts(room.project)

    assert (found.broken_id, found.events, found.reason) == (2, 1, "its content does not have its hash")
