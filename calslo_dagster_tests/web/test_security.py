"""Every answer keeps browsers strict; bodies that are large, slow or packed, and too many requests, are refused."""

import socket
import time

import pytest

from calslo_dagster.store.api_tokens import Scope
from calslo_dagster.web.limits import Meter
from calslo_dagster.web.security import LARGEST_BODY
from calslo_dagster_tests.web.serving import Site

PAGES = [
    "/",
    "/slos/score_range",
    "/alerts",
    "/sign-in",
    "/api/docs",
    "/nope",
    "/livez",
    "/api/v1/slos",
    "/answers/ack",
]


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_tells_browsers_to_be_strict(shown: Site, path: str) -> None:
    headers = shown.get(path).headers

    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    # The page of a signed link has its few rules of style inside.
    assert ("unsafe" in policy) == (path == "/answers/ack")
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")
    assert len(headers["x-request-id"]) == 32


def test_a_request_keeps_the_id_that_it_came_with_if_it_is_one(shown: Site) -> None:
    assert shown.get("/livez", x_request_id="abcdef-0123_456").headers["x-request-id"] == "abcdef-0123_456"
    assert shown.get("/livez", x_request_id="<script>").headers["x-request-id"] != "<script>"


def test_bodies_that_are_too_large_or_packed_are_refused(shown: Site) -> None:
    token = shown.secret(Scope.ADMIN)
    given = {"Authorization": f"Bearer {token}"}

    def endless() -> object:
        for _ in range(LARGEST_BODY // 65_536 + 2):
            yield b" " * 65_536

    answers = [
        shown.client.post("/api/v1/silences", content=b" " * (LARGEST_BODY + 1), headers=given),
        shown.client.post("/api/v1/silences", content=endless(), headers=given),  # type: ignore[arg-type]  # a generator of bytes
        shown.client.post("/api/v1/silences", content=b"x", headers={**given, "Content-Encoding": "gzip"}),
    ]

    assert [answer.status_code for answer in answers] == [413, 413, 415]
    assert all(answer.headers["content-type"] == "application/problem+json" for answer in answers)


def test_too_many_requests_are_told_when_to_come_again(shown: Site) -> None:
    token = shown.secret(Scope.READ)
    answer = shown.call("GET", "/api/v1/slos", token)
    assert (answer.headers["ratelimit-policy"], answer.headers["ratelimit"][:14]) == (
        '"minute";q=600;w=60',
        '"minute";r=599',
    )

    meter = Meter(3)
    found = [meter.take("address", "a") for _ in range(4)]
    assert [(one.left, one.is_spent) for one in found] == [(2, False), (1, False), (0, False), (0, True)]
    assert 1 <= int(found[3].headers["Retry-After"]) <= 120
    assert not meter.take("address", "b").is_spent


def test_a_token_never_appears_in_what_is_said_or_kept(shown: Site, capfd: pytest.CaptureFixture[str]) -> None:
    token = shown.secret(Scope.READ)
    told = [shown.call("GET", f"/api/v1/{path}", token).text for path in ("slos", "nope", "board?cursor=x")]
    shown.client.get(f"/slos/{token}")

    database = b"".join(path.read_bytes() for path in shown.project.settings.home.glob("calslo.db*"))
    assert token not in "".join(told) + "".join(capfd.readouterr())
    assert token.encode() not in database


def test_news_reach_every_listener_soon(site: Site) -> None:
    """A page that listens hears of an acknowledgement that came in elsewhere."""
    from calslo_dagster_tests.web.standing import incident_of

    listeners = [listener(site) for _ in range(5)]
    for one in listeners:
        until(one, b"event: board")
    began = time.monotonic()
    token = site.secret(Scope.ALERTS)
    assert site.call("POST", f"/api/v1/alerts/{incident_of(site.project).id}/ack", token).status_code == 200
    for one in listeners:
        until(one, b"event: board")
        one.close()
    assert time.monotonic() - began < 10


def listener(site: Site) -> socket.socket:
    host, _, port = site.url.removeprefix("http://").partition(":")
    found = socket.create_connection((host, int(port)), timeout=10)
    found.sendall(b"GET /events HTTP/1.1\r\nHost: x\r\n\r\n")
    return found


def until(one: socket.socket, text: bytes) -> None:
    seen = b""
    while text not in seen:
        part = one.recv(4_096)
        assert part, seen
        seen += part
