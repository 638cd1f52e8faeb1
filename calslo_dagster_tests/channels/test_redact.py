"""A concealed secret cannot be read in any log record, however it got there."""

import io
import logging
from collections.abc import Iterator

import pytest

from calslo_dagster.channels.redact import conceal, scrub
from calslo_dagster.channels.secret import Secret

KEY = "k3y-of-the-redaction-test"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    logger = logging.getLogger("somebody.elses")
    logger.addHandler(handler)
    yield text
    logger.removeHandler(handler)


def test_an_address_is_concealed_whole_and_in_its_parts() -> None:
    conceal(
        Secret(
            "https://user:passw0rd-of-it@hooks.example.org/services/T0AAAAAAAAAA/secretsecret24?token=abc/def+ghi jkl"
        )
    )

    for leak in (
        "https://user:passw0rd-of-it@hooks.example.org/services/T0AAAAAAAAAA/secretsecret24",
        "POST /services/T0AAAAAAAAAA/secretsecret24 HTTP/1.1",
        "path secretsecret24 is unknown",
        "passw0rd-of-it",
    ):
        assert "secretsecret24" not in scrub(leak)
        assert "passw0rd-of-it" not in scrub(leak)
    assert scrub("no answer from hooks.example.org/services") == "no answer from hooks.example.org/services"


def test_ordinary_words_in_an_address_stay_readable() -> None:
    conceal(Secret("http://monitoring.example.org/alertmanager/api/v2"), Secret("http://localhost:9093"))

    plain = "alertmanager of monitoring.example.org at /alertmanager/api/v2 and localhost"
    assert scrub(plain) == plain
    assert scrub("POST http://monitoring.example.org/alertmanager/api/v2") == "POST ***"


def test_apprise_addresses_hide_even_their_host() -> None:
    conceal(Secret("slack://T1JJ3T3L2AAAA/A1BRTD4JDAAAA/TIiajkdnlazkcOXrIdevi7FQ"))

    assert scrub("cannot reach A1BRTD4JDAAAA with TIiajkdnlazkcOXrIdevi7FQ") == "cannot reach *** with ***"


def test_percent_encoded_spellings_are_concealed() -> None:
    conceal(Secret("p%C3%A4ss word/with+signs"))

    assert scrub("päss word/with+signs") == "***"
    assert scrub("p%25C3%25A4ss%20word%2Fwith%2Bsigns") == "***"


def test_short_words_are_left_alone() -> None:
    conceal(Secret("ok"), None)

    assert scrub("ok") == "ok"


def test_records_are_scrubbed_in_words_arguments_and_tracebacks(written: io.StringIO) -> None:
    conceal(Secret(KEY))
    logger = logging.getLogger("somebody.elses.child")

    logger.warning(f"plain {KEY}")
    logger.warning("argument %s of %d", [KEY], 1)
    logger.warning("broken %d", KEY)
    try:
        int(KEY)
    except ValueError:
        logger.exception("caught")

    said = written.getvalue()
    assert KEY not in said
    assert "plain ***" in said
    assert "argument ['***'] of 1" in said
    assert "invalid literal for int() with base 10: '***'" in said


def test_other_records_stay_as_they_are(caplog: pytest.LogCaptureFixture) -> None:
    conceal(Secret(KEY))

    with caplog.at_level(logging.INFO):
        logging.getLogger("somebody.elses").info("%s of %s", "one", "two")

    assert (caplog.records[0].msg, caplog.records[0].args) == ("%s of %s", ("one", "two"))
