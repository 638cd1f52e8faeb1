"""A letter as a mail: headers that thread, text for everyone, and a page of the same words."""

import re
from collections.abc import Sequence
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import parseaddr
from hashlib import sha256
from html import escape
from typing import Final

from calslo_dagster.alerting.phrases import one_line, several_lines
from calslo_dagster.channels.base import Letter

LONGEST_TITLE: Final = 150
LONGEST_TEXT: Final = 50_000
ROOT: Final = "root"
# A longer one would not fit into one line of a header.
_ID: Final = re.compile(r"<[!-;=?-~]{1,64}>")
_LINK: Final = re.compile(r"https?://[^\s<>\"']+[^\s<>\"'.,;:)]")
_PAGE: Final = (
    '<html><body><h3>{title}</h3><pre style="font-family:inherit;white-space:pre-wrap">{text}</pre></body></html>\n'
)


def composed(letter: Letter, sender: str, recipients: Sequence[str]) -> bytes:
    """Return the mail as it goes over the wire: ASCII, lines of at most 78 characters, the same at each attempt."""
    mail = EmailMessage(policy=SMTP)
    name, address = parseaddr(sender)
    mail["From"] = Address(display_name=name, addr_spec=address)
    mail["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    mail["Subject"] = title = one_line(letter.words.title, LONGEST_TITLE) or "calslo"
    mail["Date"] = letter.at
    mail["Message-ID"] = own = message_id(letter)
    mail["Auto-Submitted"] = "auto-generated"
    if (root := root_id(letter)) != own:
        mail["In-Reply-To"] = root
        mail["References"] = root
    text = several_lines(letter.words.text, LONGEST_TEXT)
    mail.set_content(f"{text}\n", cte="quoted-printable")
    mail.add_alternative(_page(title, text), subtype="html", cte="quoted-printable")
    # Made by chance otherwise, so that a second copy would not look like the first.
    mail.set_boundary(f"=_{sha256(own.encode()).hexdigest()[:32]}")
    return mail.as_bytes()


def message_id(letter: Letter) -> str:
    """Return the name of the mail, the same for every attempt and no other letter.

    The dedup key is in it, or two installations that tell the same people would take each other's names, and mail
    systems would drop one of the mails as a copy.
    """
    incident = re.sub(r"[^A-Za-z0-9_-]", "_", letter.incident_id)[:24]
    digest = sha256(f"{letter.dedup_key}\0{letter.key}".encode()).hexdigest()[:12]
    return f"<{incident}.{letter.episode}.{letter.seq}.{digest}@calslo>"


def root_id(letter: Letter) -> str:
    """Return the name of the incident's first mail, which is this one's own for the first."""
    kept = letter.ref.get(ROOT, "")
    return kept if _ID.fullmatch(kept) else message_id(letter)


def _page(title: str, text: str) -> str:
    linked = _LINK.sub(lambda found: f'<a href="{found[0]}">{found[0]}</a>', escape(text))
    return _PAGE.format(title=escape(title), text=linked)
