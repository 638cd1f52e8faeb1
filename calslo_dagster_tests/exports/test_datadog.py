"""Datadog is told what the board says, by an agent or by its API, both listening on loopback here."""

import json
import socket
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread
from typing import Final

import pytest

from calslo_dagster.exports.datadog import (
    DATAGRAM_BYTES,
    DatadogError,
    Gauge,
    datagrams,
    gauges,
    send_series,
    send_statsd,
    series_bodies,
    statsd_lines,
)
from calslo_dagster.reporting.board import card_of
from calslo_dagster.reporting.states import Facts, State
from calslo_dagster.slo.model import Verdict
from calslo_dagster_tests.exports.boards import ECE, NOW, a_board, a_card, an_alert

KEY: Final = "0123456789abcdef"


def test_a_card_becomes_gauges_with_the_columns_of_its_slice_as_tags() -> None:
    found = {one.metric: one for one in gauges(a_board(a_card(slice="intent=buy,language=de")), environment="prod")}

    tags = ("slo:ece", "slice:intent=buy_language=de", "model:intent", "intent:buy", "language:de", "env:prod")
    assert found["calslo.sli.value"] == Gauge("calslo.sli.value", 0.02, tags)
    assert found["calslo.error_budget.remaining_ratio"].value == 0.6
    assert found["calslo.status"].tags == ("status:meeting", *tags)


def test_what_is_stale_or_was_never_measured_has_no_value() -> None:
    stale = a_card(facts={"stale_since": NOW})
    board = a_board(stale, card_of(Facts(ECE), now=NOW))

    assert "calslo.sli.value" not in {one.metric for one in gauges(board)}


@pytest.mark.parametrize(
    ("verdict", "code"),
    [
        (Verdict.MEETING, 0),
        (Verdict.WARNING, 1),
        (Verdict.BREACHED, 2),
        (Verdict.UNKNOWN, 3),
        (Verdict.ERROR, 3),
        (Verdict.EXCLUDED, 3),
    ],
)
def test_a_service_check_is_ok_only_while_the_objective_is_met(verdict: Verdict, code: int) -> None:
    [check] = [line for line in statsd_lines(a_board(a_card(verdict))) if line.startswith("_sc|")]

    assert check.startswith(f"_sc|calslo.slo|{code}|#slo:ece,slice:all,model:intent|m:{State(verdict.value)}: ")


def test_an_incident_is_an_event_once() -> None:
    board = a_board(a_card(), alerts=(an_alert(reason="Calibration error is 0.09 | too high"),))
    before, after = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)

    events = [line for line in statsd_lines(board, since=before) if line.startswith("_e")]

    assert events == [
        "_e{27,36}:critical: Calibration error|Calibration error is 0.09 / too high"
        f"|d:{int(NOW.timestamp())}|k:i1|t:error|#slo:ece,kind:breach,severity:critical"
    ]
    assert not [line for line in statsd_lines(board, since=after) if line.startswith("_e")]
    assert not [line for line in statsd_lines(board) if line.startswith("_e")]


def test_nothing_in_a_log_can_end_a_line_or_a_tag_too_early() -> None:
    board = a_board(a_card(Verdict.ERROR, slice="intent=a|#b:c%0Ad", reason="first\nsecond|#x:y"))

    for line in statsd_lines(board):
        assert "\n" not in line
        assert line.count("|#") == 1


def test_datagrams_are_full_but_never_too_long() -> None:
    lines = [f"calslo.sli.value:{n}|g|#slo:ece" for n in range(500)]

    packed = list(datagrams(lines))

    assert b"\n".join(packed).decode().split("\n") == lines
    assert all(len(one) <= DATAGRAM_BYTES for one in packed)
    assert len(packed) < 14
    assert list(datagrams(["x" * 2_000, "y"])) == [b"x" * 2_000, b"y"]


def test_an_agent_receives_every_line() -> None:
    lines = list(statsd_lines(a_board(*(a_card(slice=f"intent=i{n}") for n in range(30)))))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as agent:
        agent.bind(("127.0.0.1", 0))
        agent.settimeout(10)
        sent = send_statsd(lines, "127.0.0.1", agent.getsockname()[1])
        received = [agent.recv(65_536).decode() for _ in range(sent)]

    assert "\n".join(received).split("\n") == lines


def test_an_agent_that_has_no_address_is_named() -> None:
    with pytest.raises(DatadogError, match=r"agent at no\.such\.host\.invalid:8125 cannot be told"):
        send_statsd(["x:1|g"], "no.such.host.invalid", 8125)


@contextmanager
def api(*statuses: int) -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """Serve these statuses one after the other, then 202; yield the address and what was posted."""
    posted: list[tuple[dict[str, str], bytes]] = []
    left = list(statuses)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            posted.append(({name.lower(): value for name, value in self.headers.items()}, zlib.decompress(body)))
            self.send_response(left.pop(0) if left else 202)
            self.send_header("X-RateLimit-Reset", "7")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", posted
        finally:
            server.shutdown()
            thread.join()


def test_the_series_api_is_sent_compressed_gauges_with_the_key() -> None:
    found = gauges(a_board(a_card()))
    with api() as (url, posted):
        assert send_series(found, NOW, url=url, key=KEY, sleep=lambda _: None) == 1

    [(headers, body)] = posted
    series = {one["metric"]: one for one in json.loads(body)["series"]}
    assert headers["dd-api-key"] == KEY
    assert headers["content-encoding"] == "deflate"
    assert series["calslo.sli.value"] == {
        "metric": "calslo.sli.value",
        "type": 3,
        "points": [{"timestamp": int(NOW.timestamp()), "value": 0.02}],
        "tags": ["slo:ece", "slice:all", "model:intent"],
    }


def test_many_gauges_take_several_requests() -> None:
    found = [Gauge("calslo.sli.value", float(n), ()) for n in range(2_500)]

    sizes = [len(json.loads(body)["series"]) for body in series_bodies(found, NOW)]

    assert sizes == [1_000, 1_000, 500]


def test_a_busy_api_is_tried_again_when_it_says_and_others_after_twice_the_time() -> None:
    slept: list[float] = []
    with api(429, 503) as (url, posted):
        send_series(gauges(a_board(a_card())), NOW, url=url, key=KEY, sleep=slept.append)

    assert len(posted) == 3
    assert slept == [7.0, 7.0]


def test_an_api_that_nobody_answers_at_is_given_up() -> None:
    slept: list[float] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(DatadogError, match="did not take the series: ConnectError"):
            send_series(gauges(a_board(a_card())), NOW, url=url, key=KEY, sleep=slept.append)

    assert slept == [1.0, 2.0, 4.0]


def test_a_wrong_key_is_not_tried_again_and_never_shown() -> None:
    with api(403) as (url, posted), pytest.raises(DatadogError, match="status 403; check the API key") as refused:
        send_series(gauges(a_board(a_card())), NOW, url=url, key=KEY, sleep=lambda _: None)

    assert len(posted) == 1
    assert KEY not in str(refused.value)
