"""The log channel writes each message once, even across crashes."""

import json
import logging
from pathlib import Path

import pytest

from calslo_dagster.channels.base import Retryable
from calslo_dagster.channels.log import LogChannel
from calslo_dagster_tests.channels.delivery import deliver
from calslo_dagster_tests.channels.letters import letter


def lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_a_message_is_one_json_line(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "logs" / "alerts.jsonl"

    with caplog.at_level(logging.WARNING):
        deliver(LogChannel(path), letter())

    assert lines(path) == [
        {
            "at": "2026-03-02T10:12:00+00:00",
            "key": "d1",
            "action": "trigger",
            "incident": "0123456789abcdef",
            "severity": "critical",
            "title": "trigger fraud · over-confident · 0.083 > 0.05",
            "text": "Since 10:00 UTC.\nRoll back.",
        }
    ]
    assert "trigger fraud · over-confident" in caplog.text


def test_a_second_try_after_a_hidden_success_writes_nothing(tmp_path: Path) -> None:
    channel = LogChannel(tmp_path / "alerts.jsonl")
    deliver(channel, letter())

    deliver(channel, letter(first_try=False))

    assert len(lines(channel.path)) == 1


def test_a_line_torn_by_a_crash_is_left_behind_and_written_again(tmp_path: Path) -> None:
    channel = LogChannel(tmp_path / "alerts.jsonl")
    channel.path.write_text('{"at": "2026-03-02T10:12:00+00:00", "key": "d1', encoding="utf-8")

    deliver(channel, letter(first_try=False))

    assert json.loads(channel.path.read_text(encoding="utf-8").splitlines()[-1])["key"] == "d1"


def test_a_path_that_cannot_be_written_is_retryable(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")

    with pytest.raises(Retryable, match="cannot write"):
        deliver(LogChannel(tmp_path / "file" / "alerts.jsonl"), letter())
