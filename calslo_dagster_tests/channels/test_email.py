"""Mail reaches everybody once, encrypted, in one thread per incident, and every failure is told apart."""

import asyncio
import io
import logging
import traceback
from base64 import b64encode
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from calslo_dagster.alerting.facts import Words
from calslo_dagster.alerting.model import Action
from calslo_dagster.channels import threads
from calslo_dagster.channels.base import Channel, Failure, Letter, Receipt, Rejected, Retryable
from calslo_dagster.channels.email import EmailChannel, Security
from calslo_dagster.channels.email_message import composed
from calslo_dagster.channels.secret import Secret
from calslo_dagster_tests.channels.letters import AT, hostile_letters, letter
from calslo_dagster_tests.channels.mail_server import PASSWORD, USER, Authority, MailServer, serving

ANA, BEN = "ana@example.org", "ben@example.org"
SENDER = "calslo <calslo@example.org>"
Outcome = Receipt | Retryable | Rejected


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def server() -> MailServer:
    return MailServer()


Post = Callable[..., Outcome]


@pytest.fixture
def post(server: MailServer, authority: Authority) -> Post:
    """Return a function that sends letters through the server, one after the other, and returns the last outcome."""

    def run(*letters: Letter, security: Security = Security.STARTTLS, **changes: Any) -> Outcome:
        return threads.run(conversation(server, authority, letters or (letter(),), security, **changes))

    return run


async def conversation(
    server: MailServer, authority: Authority, letters: tuple[Letter, ...], security: Security, **changes: Any
) -> Outcome:
    async with serving(server, security, authority):
        channel = through(server, authority, security=security, **changes)
        for one in letters:
            outcome = await attempt(channel, one)
        return outcome


def through(server: MailServer, authority: Authority, **changes: Any) -> EmailChannel:
    given: dict[str, Any] = {
        "name": "mail",
        "host": "localhost",
        "sender": SENDER,
        "recipients": (ANA, BEN),
        "port": server.port,
        "username": USER,
        "password": Secret(PASSWORD),
        "ca_file": authority.ca_file,
    }
    return EmailChannel(**{**given, **changes})


async def attempt(channel: Channel, one: Letter, seconds: float = 8) -> Outcome:
    """Send as the dispatcher does: within a deadline, after which the message may have arrived."""
    try:
        async with asyncio.timeout(seconds):
            return await channel.send(one)
    except (Retryable, Rejected) as failure:
        return failure
    except TimeoutError:
        return Retryable("out of time", Failure.DEADLINE, may_have_arrived=True)


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
def test_a_mail_goes_encrypted_to_everybody_after_a_login(server: MailServer, post: Post, security: Security) -> None:
    outcome = post(security=security)

    assert isinstance(outcome, Receipt)
    assert outcome.detail == "taken for 2 of 2"
    assert server.envelopes == [[ANA, BEN]]
    assert (server.encrypted, server.users) == ([True], [True])
    mail = server.mails[0]
    assert (mail["From"], mail["To"]) == (SENDER, f"{ANA}, {BEN}")
    assert mail["Subject"] == "trigger fraud · over-confident · 0.083 > 0.05"
    assert mail["Date"].datetime == AT
    assert mail["Auto-Submitted"] == "auto-generated"


def test_without_a_login_mail_goes_out_too(server: MailServer, post: Post) -> None:
    assert isinstance(post(username="", password=None), Receipt)
    assert server.users == [False]


def test_a_password_may_hold_any_letters(server: MailServer, post: Post) -> None:
    server.password = "pässwörd für alle"

    assert isinstance(post(password=Secret(server.password)), Receipt)


def test_this_machine_needs_no_encryption(server: MailServer, post: Post) -> None:
    outcome = post(security=Security.NONE, username="", password=None)

    assert isinstance(outcome, Receipt)
    assert server.encrypted == [False]


def test_text_and_page_say_the_same(server: MailServer, post: Post) -> None:
    long = "ä" * 1_500
    text = f"Since 10:00 <UTC> & 'now'\r\n\r\n.\n{long}\nSee https://example.org/r?a=1&b=2."
    post(replace(letter(), words=Words("Kalibrierung · 0,083 > 0,05 🚨", text)))

    mail = server.mails[0]
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert page is not None
    assert (
        plain.get_content().replace("\r\n", "\n")
        == f"Since 10:00 <UTC> & 'now'\n\n.\n{long}\nSee https://example.org/r?a=1&b=2.\n"
    )
    assert "Since 10:00 &lt;UTC&gt; &amp; &#x27;now&#x27;" in page.get_content()
    assert '<a href="https://example.org/r?a=1&amp;b=2">https://example.org/r?a=1&amp;b=2</a>.' in page.get_content()
    assert mail["Subject"] == "Kalibrierung · 0,083 > 0,05 🚨"


def test_no_title_or_slice_can_add_a_header_or_a_recipient(server: MailServer, post: Post) -> None:
    title = "slice=a\r\nBcc: eve@example.org\r\n\r\nbody\0\u2028\ud800 ü"
    post(replace(letter(), words=Words(title, "slice=a\nb\r\n.\r\nMAIL FROM:<eve@example.org>\r\n")))

    assert len(server.mails) == 1
    mail = server.mails[0]
    assert mail["Bcc"] is None
    assert mail["Subject"] == "slice=a Bcc: eve@example.org body\\x00 \\ud800 ü"
    assert server.envelopes == [[ANA, BEN]]
    assert b"eve@example.org" in server.raw[0]


@given(hostile_letters)
@settings(max_examples=100, deadline=None)
def test_any_letter_is_a_mail_of_ascii_lines_with_the_same_headers(hostile: Letter) -> None:
    mail = composed(hostile, SENDER, (ANA, BEN))
    head, _, _ = mail.partition(b"\r\n\r\n")

    assert mail.isascii()
    assert mail == composed(hostile, SENDER, (ANA, BEN))
    assert all(len(line) <= 998 for line in mail.split(b"\r\n"))
    assert [line.split(b":")[0] for line in head.split(b"\r\n") if line[:1] not in b" \t"] == [
        b"From", b"To", b"Subject", b"Date", b"Message-ID", b"Auto-Submitted", b"MIME-Version", b"Content-Type",
    ]  # fmt: skip


def test_a_mail_sent_again_is_the_same_to_the_last_byte(server: MailServer, post: Post) -> None:
    post(letter(), letter(first_try=False))

    assert server.raw[0] == server.raw[1]
    assert server.mails[0]["Message-ID"] == server.mails[1]["Message-ID"]
    assert server.mails[0]["Message-ID"].startswith("<0123456789abcdef.1.1.")
    assert server.mails[0]["Message-ID"].endswith("@calslo>")


def test_no_two_letters_share_a_message_id() -> None:
    one = letter()
    letters = [
        one,
        replace(one, key="d2"),
        replace(one, seq=2),
        replace(one, episode=2),
        replace(one, incident_id="other"),
        replace(one, dedup_key="calslo-of-another-installation"),
    ]
    names = {line for one in letters for line in composed(one, SENDER, (ANA,)).splitlines() if b"Message-ID" in line}

    assert len(names) == len(letters)


def test_later_mails_answer_the_first_one_of_the_incident(server: MailServer, post: Post) -> None:
    first = post(letter())
    assert isinstance(first, Receipt)
    second = post(replace(letter(Action.UPDATE, key="d2"), seq=2, ref=first.ref))
    assert isinstance(second, Receipt)
    post(replace(letter(Action.RESOLVE, key="d3"), seq=3, ref={**first.ref, **second.ref}))

    root, *later = server.mails
    assert root["In-Reply-To"] is None
    assert [mail["In-Reply-To"] for mail in later] == [root["Message-ID"]] * 2
    assert [mail["References"] for mail in later] == [root["Message-ID"]] * 2
    assert len({mail["Message-ID"] for mail in server.mails}) == 3


def test_a_kept_name_that_is_none_starts_a_new_thread(server: MailServer, post: Post) -> None:
    post(letter(ref={"root": "<a>\r\nBcc: eve@example.org"}))

    assert server.mails[0]["In-Reply-To"] is None


def test_a_wrong_password_is_for_a_person_to_look_at(server: MailServer, post: Post) -> None:
    server.login = "535 5.7.8 no such password: {password}"
    outcome = post(password=Secret("canary-wrong-password"))

    assert isinstance(outcome, Rejected)
    assert outcome.failure is Failure.AUTH
    assert str(outcome) == "mail: localhost while logging in: 535"
    assert "canary" not in "".join(traceback.format_exception(outcome))
    assert server.mails == []


def test_a_login_that_is_not_possible_now_is_tried_again(server: MailServer, post: Post) -> None:
    server.login = "454 4.7.0 directory is down"
    outcome = post(password=Secret("canary-wrong-password"))

    assert isinstance(outcome, Retryable)
    assert (outcome.failure, outcome.may_have_arrived) == (Failure.SERVER_ERROR, False)


def test_a_server_without_a_login_is_for_a_person_to_look_at(server: MailServer, authority: Authority) -> None:
    async def without_methods() -> Outcome:
        async with serving(server, Security.STARTTLS, authority, auth_exclude_mechanism=["PLAIN", "LOGIN"]):
            return await attempt(through(server, authority), letter())

    outcome = threads.run(without_methods())

    assert isinstance(outcome, Rejected)
    assert outcome.failure is Failure.AUTH
    assert "no login that is known here" in str(outcome)


def test_a_message_refused_for_good_is_rejected(server: MailServer, post: Post) -> None:
    server.answer = "554 5.7.1 looks like spam"
    outcome = post()

    assert isinstance(outcome, Rejected)
    assert outcome.failure is Failure.CLIENT
    assert "mail: localhost while sending the message: 554 5.7.1 looks like spam" in str(outcome)


def test_a_message_put_off_is_tried_again(server: MailServer, post: Post) -> None:
    server.answer = "451 4.3.0 try later"
    outcome = post()

    assert isinstance(outcome, Retryable)
    assert (outcome.failure, outcome.may_have_arrived, outcome.ref) == (Failure.SERVER_ERROR, False, {})


def test_recipients_all_refused_for_good_are_rejected(server: MailServer, post: Post) -> None:
    server.refuse = {ANA: "550 5.1.1 unknown", BEN: "553 no"}
    outcome = post()

    assert isinstance(outcome, Rejected)
    assert outcome.failure is Failure.CLIENT
    assert f"{ANA}: 550 5.1.1 unknown, {BEN}: 553 no" in str(outcome)
    assert server.mails == []


def test_a_retry_reaches_only_who_was_put_off(server: MailServer, post: Post) -> None:
    server.refuse = {BEN: "451 4.7.1 greylisted"}
    first = post()
    assert isinstance(first, Retryable)
    assert (first.failure, first.may_have_arrived) == (Failure.SERVER_ERROR, False)
    assert f"puts off {BEN}: 451 4.7.1 greylisted" in str(first)

    again = post(letter(ref=first.ref))
    assert isinstance(again, Retryable)
    server.refuse = {}
    last = post(letter(ref=again.ref))

    assert isinstance(last, Receipt)
    assert last.detail == "taken for 2 of 2"
    assert server.envelopes == [[ANA], [BEN]]
    assert server.mails[0]["Message-ID"] == server.mails[1]["Message-ID"]
    assert server.mails[1]["In-Reply-To"] is None
    assert post(letter(ref=last.ref)) == Receipt(last.ref, "everybody has it already")


def test_progress_outlives_an_attempt_that_gets_nowhere(server: MailServer, post: Post) -> None:
    server.refuse = {BEN: "451 later"}
    first = post()
    assert isinstance(first, Retryable)
    server.answer, server.refuse = "451 later", {}
    nowhere = post(letter(ref=first.ref))
    assert isinstance(nowhere, Retryable)
    server.answer = "250 taken"

    post(letter(ref=nowhere.ref))

    assert server.envelopes == [[ANA], [BEN]]


def test_the_next_letter_goes_to_everybody_again(server: MailServer, post: Post) -> None:
    first = post()
    assert isinstance(first, Receipt)
    post(replace(letter(key="d2"), seq=2, ref=first.ref))

    assert server.envelopes == [[ANA, BEN], [ANA, BEN]]


def test_who_is_refused_for_good_does_not_hold_up_the_others(server: MailServer, post: Post) -> None:
    """The thread goes on for those who can be reached; the record says who cannot."""
    server.refuse = {BEN: "550 5.1.1 unknown"}
    outcome = post()

    assert isinstance(outcome, Receipt)
    assert outcome.detail == f"taken for 1 of 2; refused {BEN}: 550 5.1.1 unknown"
    assert server.envelopes == [[ANA]]


def test_a_server_that_closes_while_recipients_are_named_is_tried_again(server: MailServer, post: Post) -> None:
    server.refuse = {ANA: "421 4.3.2 going down"}
    outcome = post()

    assert isinstance(outcome, Retryable)
    assert (outcome.failure, outcome.may_have_arrived) == (Failure.SERVER_ERROR, False)


def test_a_connection_lost_after_the_message_is_ambiguous(server: MailServer, post: Post) -> None:
    server.answer = None
    outcome = post()

    assert isinstance(outcome, Retryable)
    assert (outcome.failure, outcome.may_have_arrived) == (Failure.AMBIGUOUS, True)
    assert len(server.mails) == 1


def test_an_answer_that_is_too_slow_leaves_in_time_and_the_mail_may_be_there(
    server: MailServer, authority: Authority
) -> None:
    server.wait = 20

    async def impatient() -> tuple[Outcome, float]:
        async with serving(server, Security.STARTTLS, authority):
            began = asyncio.get_running_loop().time()
            outcome = await attempt(through(server, authority), letter(), 1)
            return outcome, asyncio.get_running_loop().time() - began

    outcome, seconds = threads.run(impatient())

    assert isinstance(outcome, Retryable)
    assert outcome.may_have_arrived
    assert len(server.mails) == 1
    assert seconds < 3


@pytest.mark.parametrize("security", list(Security))
def test_a_server_that_drips_is_left_in_time(authority: Authority, security: Security) -> None:
    gone: list[float] = []

    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        try:
            while not writer.is_closing():
                writer.write(b"2")
                await writer.drain()
                await asyncio.sleep(0.1)
        except ConnectionError:
            pass
        gone.append(loop.time())

    async def patient() -> tuple[Outcome, float]:
        listening = await asyncio.start_server(drip, "127.0.0.1", 0)
        loop = asyncio.get_running_loop()
        async with listening:
            server = MailServer(port=listening.sockets[0].getsockname()[1])
            login = {"username": "", "password": None}
            began = loop.time()
            outcome = await attempt(through(server, authority, security=security, **login), letter(), 0.7)
            seconds = loop.time() - began
            while not gone:
                await asyncio.sleep(0.05)
            return outcome, seconds

    outcome, seconds = threads.run(patient())

    assert isinstance(outcome, Retryable)
    assert seconds < 3


@pytest.mark.parametrize("security", [Security.STARTTLS, Security.IMPLICIT])
def test_a_certificate_of_nobody_we_trust_gets_no_mail_and_no_password(
    server: MailServer, post: Post, tmp_path: Path, security: Security
) -> None:
    outcome = post(security=security, ca_file=Authority(tmp_path).ca_file)

    assert isinstance(outcome, Retryable)
    assert (outcome.failure, outcome.may_have_arrived) == (Failure.NETWORK, False)
    assert "its certificate is not trusted (" in str(outcome)
    assert "name its authority in ca_file" in str(outcome)
    assert server.mails == []


def test_a_certificate_of_another_host_gets_no_mail(server: MailServer, post: Post) -> None:
    outcome = post(host="127.0.0.1")

    assert isinstance(outcome, Retryable)
    assert "its certificate is not trusted (" in str(outcome)


def test_a_server_that_does_not_encrypt_gets_no_mail_and_no_password(server: MailServer, authority: Authority) -> None:
    async def stripped() -> Outcome:
        async with serving(server, Security.NONE, authority):
            return await attempt(through(server, authority), letter())

    outcome = threads.run(stripped())

    assert isinstance(outcome, Retryable)
    assert (outcome.failure, outcome.may_have_arrived) == (Failure.NETWORK, False)
    assert "STARTTLS" in str(outcome)
    assert server.mails == []


@pytest.mark.parametrize("host", ["localhost", "no-such-host.invalid"])
def test_a_server_that_cannot_be_reached_is_tried_again(authority: Authority, host: str) -> None:
    outcome = threads.run(attempt(through(MailServer(port=9), authority, host=host), letter()))

    assert isinstance(outcome, Retryable)
    assert (outcome.failure, outcome.may_have_arrived) == (Failure.NETWORK, False)
    assert "while connecting" in str(outcome)
    assert "nothing was sent" in str(outcome)


def test_certificates_that_cannot_be_read_are_named(authority: Authority, tmp_path: Path) -> None:
    outcome = threads.run(attempt(through(MailServer(port=9), authority, ca_file=tmp_path / "none.pem"), letter()))

    assert isinstance(outcome, Retryable)
    assert f"cannot read the certificates in {tmp_path / 'none.pem'}: No such file" in str(outcome)


def test_new_certificates_are_read_without_a_restart(server: MailServer, tmp_path: Path) -> None:
    old, new = Authority(tmp_path), Authority(tmp_path)

    async def renewed() -> Outcome:
        async with serving(server, Security.STARTTLS, new):
            return await attempt(through(server, new), letter())

    assert old.ca_file == new.ca_file
    assert isinstance(threads.run(renewed()), Receipt)


def test_no_password_is_said_whatever_fails(server: MailServer, post: Post, authority: Authority) -> None:
    said = io.StringIO()
    handler, root = logging.StreamHandler(said), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    encoded = b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()
    try:
        for answer in (f"554 said {PASSWORD}", f"451 said {encoded}", "250 taken"):
            server.answer = answer
            outcome = post()
            said.write(repr(outcome) + str(outcome))
            if isinstance(outcome, Exception):
                said.write("".join(traceback.format_exception(outcome)))
        said.write(repr(through(server, authority)))
    finally:
        root.removeHandler(handler)
        root.setLevel(level)

    assert "554 said ***" in said.getvalue()
    assert "451 said ***" in said.getvalue()
    assert PASSWORD not in said.getvalue()
    assert encoded not in said.getvalue()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipients": ()}, "has no recipients"),
        ({"recipients": ("ana",)}, "'ana' is no address"),
        ({"recipients": ("ana@example.org\r\nRCPT TO:<eve@example.org>",)}, "is no address"),
        ({"recipients": ("a@b@c",)}, "is no address"),
        ({"recipients": ("ana..x@example.org",)}, "is no address"),
        ({"recipients": ("änne@example.org",)}, "write one in ASCII"),
        ({"sender": "calslo"}, "'calslo' is no address"),
        ({"sender": "a\r\nBcc: x <calslo@example.org>"}, "is no address"),
        ({"security": Security.NONE, "host": "mail.example.org"}, "would send in clear to mail.example.org; write"),
        ({"username": ""}, "only one of username and password"),
        ({"password": None}, "only one of username and password"),
    ],
)
def test_a_channel_that_cannot_work_is_refused(authority: Authority, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        through(MailServer(), authority, **changes)


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_in_clear_is_for_this_machine_or_where_it_is_allowed(authority: Authority, host: str) -> None:
    assert through(MailServer(), authority, security=Security.NONE, host=host).security is Security.NONE
    allowed = through(MailServer(), authority, security=Security.NONE, host="mail.internal", allow_plain=True)
    assert allowed.allow_plain


def test_the_usual_ports_are_known() -> None:
    assert [security.port for security in Security] == [587, 465, 25]


def test_dates_are_those_of_the_order_not_of_the_attempt() -> None:
    at = datetime(2026, 12, 24, 23, 59, 58, tzinfo=UTC)

    assert b"Date: Thu, 24 Dec 2026 23:59:58 +0000\r\n" in composed(replace(letter(), at=at), SENDER, (ANA,))
