"""Messages leave the outbox once, whatever happens between sending and noting it."""

import json
import threading
from pathlib import Path
from typing import Any

from calslo_dagster.pipeline.deliver_outbox import deliver_outbox, log_path
from calslo_dagster.pipeline.project import Project
from calslo_dagster.store import outbox
from calslo_dagster.store.outbox import Message, NewMessage
from calslo_dagster_tests.logs import MINUTE, START
from calslo_dagster_tests.pipeline.conftest import OpenProject


def queue(project: Project, *keys: str) -> None:
    with project.store.write() as session:
        outbox.add(session, [NewMessage(key, "started", {"text": f"Breach {key}"}, START) for key in keys])


def waiting(project: Project) -> tuple[Message, ...]:
    with project.store.read() as session:
        return outbox.unsent(session)


def lines(project: Project) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log_path(project).read_text().splitlines()]


def test_messages_are_sent_once_and_oldest_first(project: Project) -> None:
    queue(project, "a", "b")

    assert deliver_outbox(project, now=START) == 2
    assert deliver_outbox(project, now=START) == 0
    assert [line["key"] for line in lines(project)] == ["a", "b"]
    assert lines(project)[0]["text"] == "Breach a"
    assert waiting(project) == ()


def test_an_empty_outbox_sends_nothing(project: Project) -> None:
    assert deliver_outbox(project, now=START) == 0
    assert not log_path(project).exists()


def test_a_crash_between_sending_and_noting_it_sends_nothing_twice(project: Project) -> None:
    """The attempt is on record before it is made, so the next one looks whether the message is there already."""
    queue(project, "a")
    deliver_outbox(project, now=START)
    with project.store.write() as session:
        (row,) = [message for message in _all(project) if message.key == "a"]
        outbox._note(session, row.id, sent_at=None)

    assert deliver_outbox(project, now=START + MINUTE) == 1
    assert [line["key"] for line in lines(project)] == ["a"]


def test_a_crash_before_sending_loses_nothing(project: Project) -> None:
    queue(project, "a")
    with project.store.write() as session:
        outbox.begin(session, waiting(project)[0].id, channel="log")

    assert deliver_outbox(project, now=START) == 1
    assert [line["key"] for line in lines(project)] == ["a"]


def test_a_message_that_cannot_be_written_stays_with_the_reason(tmp_path: Path, open_at: OpenProject) -> None:
    (tmp_path / "file").write_text("in the way")
    project = open_at(tmp_path, extra="channels: {log: {path: file/alerts.jsonl}}\n")
    queue(project, "a")

    assert deliver_outbox(project, now=START) == 0
    (message,) = waiting(project)
    assert message.attempts == 1
    assert "alerts.jsonl" in (message.last_error or "")

    (tmp_path / "file").unlink()
    assert deliver_outbox(project, now=START) == 1
    assert [line["key"] for line in lines(project)] == ["a"]


def test_two_that_deliver_at_once_send_each_message_once(project: Project) -> None:
    """The sensor of the daemon and a hand at the command line."""
    queue(project, *(f"m{n}" for n in range(30)))
    workers = [threading.Thread(target=deliver_outbox, args=(project,), kwargs={"now": START}) for _ in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()

    assert sorted(line["key"] for line in lines(project)) == sorted(f"m{n}" for n in range(30))


def _all(project: Project) -> tuple[Message, ...]:
    with project.store.read() as session:
        return outbox.of_kind(session, "started", since=START)
