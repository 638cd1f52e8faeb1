"""The adapter trusts nobody: not certificates, not redirects, not the length of an answer, not a clock."""

import logging
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from calslo_dagster.channels import http, threads
from calslo_dagster.channels.base import Failure, Rejected, Retryable
from calslo_dagster.channels.http import BODY_BYTES, Answer, accepted, encoded, exchange, post, quiet, retry_after
from calslo_dagster_tests.peers.running import Peer, running_peer


def answered(url: str, headers: dict[str, str] | None = None) -> Answer:
    return threads.run(exchange("ops", url, b"{}", headers=headers or {"content-type": "application/json"}))


@pytest.mark.parametrize(
    ("asked", "date", "expected"),
    [
        ("3", "", timedelta(seconds=3)),
        (" 0 ", "", timedelta(0)),
        ("999999999999", "", timedelta(days=1)),
        ("9" * 400, "", None),
        ("-1", "", None),
        ("1.5", "", None),
        ("soon", "Mon, 02 Mar 2026 10:00:00 GMT", None),
        ("Mon, 02 Mar 2026 10:00:30 GMT", "Mon, 02 Mar 2026 10:00:00 GMT", timedelta(seconds=30)),
        ("Mon, 02 Mar 2026 09:00:00 GMT", "Mon, 02 Mar 2026 10:00:00 GMT", timedelta(0)),
        ("Mon, 02 Mar 2099 09:00:00 GMT", "Mon, 02 Mar 2026 10:00:00 GMT", timedelta(days=1)),
        ("Mon, 02 Mar 2026 10:00:30 GMT", "", None),
        ("Mon, 02 Mar 2026 10:00:30", "Mon, 02 Mar 2026 10:00:00 GMT", timedelta(seconds=30)),
        ("", "", None),
    ],
)
def test_a_pause_is_read_in_every_spelling_and_bounded(asked: str, date: str, expected: timedelta | None) -> None:
    assert retry_after({"retry-after": asked, "date": date}) == expected


@pytest.mark.parametrize("status", [408, 425, 500, 503, 599])
def test_statuses_that_may_pass(status: int) -> None:
    with pytest.raises(Retryable) as caught:
        accepted("ops", Answer(status, {"retry-after": "7"}))

    assert (caught.value.failure, caught.value.retry_after) == (Failure.SERVER_ERROR, timedelta(seconds=7))


@pytest.mark.parametrize("status", [301, 302, 304, 400, 404, 405, 410, 413, 422])
def test_statuses_that_stay(status: int) -> None:
    with pytest.raises(Rejected) as caught:
        accepted("ops", Answer(status, body=b"no\nsuch\x00thing"))

    assert str(caught.value) == f"ops: answered {status}: no such\\x00thing"


def test_what_a_server_says_of_a_refused_key_is_not_repeated() -> None:
    with pytest.raises(Rejected, match=r"answered 401$"):
        accepted("ops", Answer(401, body=b"the key ending in 4b2a is unknown"))


def test_a_long_answer_is_cut_off(peer: Peer) -> None:
    peer.behave("huge")

    answer = answered(peer.webhook)

    assert (answer.status, len(answer.body), answer.is_whole) == (200, BODY_BYTES, False)


def test_a_slow_answer_counts_by_its_status(peer: Peer) -> None:
    peer.behave("dripbody")

    answer = answered(peer.webhook, {"content-type": "application/json", "idempotency-key": "slow"})

    assert (answer.status, answer.is_whole) == (200, False)
    assert peer.received() == {"slow": 1}


def test_a_redirect_is_not_followed(peer: Peer) -> None:
    peer.behave("redirect")
    before = len(peer.journal())

    with pytest.raises(Rejected, match="answered 302"):
        threads.run(post("ops", peer.webhook, b"{}"))

    assert len(peer.journal()) == before + 1


@pytest.mark.parametrize("url", ["ftp://example.org/canaryKey", "//canaryKey", "http://canaryKey:port/"])
def test_a_malformed_address_is_rejected_without_being_repeated(url: str) -> None:
    with pytest.raises(Rejected, match="malformed") as caught:
        answered(url)

    assert "canaryKey" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_header_that_cannot_be_sent_is_rejected_without_being_repeated(peer: Peer) -> None:
    for value in ("canary\r\nkey", "canary-ключ"):
        with pytest.raises(Rejected, match="malformed") as caught:
            answered(peer.webhook, {"authorization": value})
        assert "canary" not in str(caught.value)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[Peer, Path]]:
    authority, authority_file, server_file = trustme.CA(), tmp_path / "ca.pem", tmp_path / "server.pem"
    authority.cert_pem.write_to_path(authority_file)
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(server_file)
    with running_peer(certificate=server_file) as peer:
        yield peer, authority_file


def test_only_trusted_certificates_are_spoken_to(secured: tuple[Peer, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    peer, authority = secured

    with pytest.raises(Retryable, match="certificate is not trusted") as caught:
        answered(peer.webhook)
    assert (caught.value.failure, caught.value.may_have_arrived) == (Failure.NETWORK, False)
    assert peer.journal_file.read_text(encoding="utf-8") == ""

    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    http.trust.cache_clear()
    try:
        assert answered(peer.webhook).status == 200
        with pytest.raises(Retryable, match="certificate is not trusted"):
            answered(peer.webhook.replace("127.0.0.1", "localhost"))
    finally:
        http.trust.cache_clear()


def test_what_json_has_no_number_for_is_null() -> None:
    assert (
        encoded({"a": [float("nan"), float("inf"), 1.5], "ß": ("\ud800",)})
        == '{"a":[null,null,1.5],"ß":["?"]}'.encode()
    )


def test_talkative_libraries_are_kept_quiet_but_never_made_louder() -> None:
    names = ("httpx2", "httpcore2", "slack_sdk", "aiosmtplib", "apprise", "urllib3")
    for name in names:
        logging.getLogger(name).setLevel(logging.DEBUG)
    logging.getLogger("urllib3").setLevel(logging.ERROR)

    quiet()

    assert [logging.getLogger(name).level for name in names] == [logging.WARNING] * 5 + [logging.ERROR]
    assert not logging.getLogger("httpcore2.connection").isEnabledFor(logging.INFO)
    logging.getLogger("urllib3").setLevel(logging.WARNING)
