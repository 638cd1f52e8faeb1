"""The log channel writes each message once, even across crashes."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path

import pytest

from calslo_dagster.channels.base import Message, Retryable
from calslo_dagster.channels.log import LogChannel

AT = datetime(2026, 3, 2, 10, tzinfo=UTC)


def message(key: str = "b1:started", *, first_try: bool = True) -> Message:
    return Message(key, "started", f"Breach 🚨 {key}", AT, first_try)


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_message_is_one_json_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "logs" / "alerts.jsonl"

    with caplog.at_level(logging.WARNING):
        LogChannel(path).send(message())

    assert lines(path) == [
        {"at": "2026-03-02T10:00:00+00:00", "key": "b1:started", "occasion": "started", "text": "Breach 🚨 b1:started"}
    ]
    assert "Breach 🚨 b1:started" in caplog.text


def test_a_second_try_after_a_hidden_success_writes_nothing(tmp_path: Path) -> None:
    channel = LogChannel(tmp_path / "alerts.jsonl")
    channel.send(message())

    channel.send(message(first_try=False))

    assert len(lines(channel.path)) == 1


def test_a_line_torn_by_a_crash_is_left_behind_and_written_again(tmp_path: Path) -> None:
    channel = LogChannel(tmp_path / "alerts.jsonl")
    channel.path.write_text('{"at": "2026-03-02T10:00:00+00:00", "key": "b1:sta', encoding="utf-8")

    channel.send(message(first_try=False))

    assert json.loads(channel.path.read_text(encoding="utf-8").splitlines()[-1])["key"] == "b1:started"


def test_a_path_that_cannot_be_written_is_retryable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(Retryable, match="cannot write the alert log"):
        LogChannel(tmp_path / "file" / "alerts.jsonl").send(message())
