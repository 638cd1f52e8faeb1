"""Secrets are struck out of every log record and every text that is kept, whoever wrote it."""

import logging
import re
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from calslo_dagster.channels.secret import Secret

HIDDEN: Final = "***"
_SHORTEST: Final = 8
_SHORTEST_PART: Final = 12
_WORD: Final = re.compile(r"[a-z]{1,15}|v\d")
_known: set[str] = set()
_by_length: list[str] = []


def conceal(*secrets: Secret | None) -> None:
    """Make every log record and every scrubbed text of this process show *** instead of these secrets.

    An address is concealed whole and in the parts that can be keys: user, password, path, query. Ordinary words and
    secrets of fewer than 8 characters are left alone, or every mention of `alertmanager` could be struck out.
    """
    found = {part for secret in secrets if secret for part in _spellings(secret.reveal())}
    _known.update(part for part in found if len(part) >= _SHORTEST)
    # The longest first, so that no secret is left half visible behind a part of it.
    _by_length[:] = sorted(_known, key=len, reverse=True)
    _scrub_records()


def scrub(text: str) -> str:
    """Return the text without any concealed secret."""
    for secret in _by_length:
        text = text.replace(secret, HIDDEN)
    return text


def _spellings(value: str) -> set[str]:
    parts = {value, *(_address_parts(value) if "://" in value else ())}
    return parts | {quote(part, safe="") for part in parts} | {unquote(part) for part in parts}


def _address_parts(address: str) -> set[str]:
    scheme, _, rest = address.partition("://")
    if scheme in ("http", "https"):
        split = urlsplit(address)
        target = f"{split.path}?{split.query}" if split.query else split.path
        whole = {split.password or ""} | (set() if _is_plain(target) else {split.path, target})
        return whole | _pieces(f"{target}/{split.username or ''}")
    # Other schemes are Apprise's, where even the place of the host may hold a key.
    return (set() if _is_plain(rest) else {rest}) | _pieces(rest)


def _pieces(text: str) -> set[str]:
    return {piece for piece in _split(text) if len(piece) >= _SHORTEST_PART and not _WORD.fullmatch(piece)}


def _is_plain(text: str) -> bool:
    return all(_WORD.fullmatch(piece) for piece in _split(text))


def _split(text: str) -> list[str]:
    return re.split(r"[/:@?&=]+", text.strip("/"))


class _Scrubbing:
    """A factory of log records that scrubs what another factory made."""

    def __init__(self, make: Any) -> None:
        self._make = make

    def __call__(self, *args: Any, **values: Any) -> logging.LogRecord:
        record: logging.LogRecord = self._make(*args, **values)
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # Arguments that do not fit would be printed by logging's own complaint, secrets included.
            text = record.msg = f"{record.msg} {record.args}"
            record.args = ()
        clean = scrub(text)
        if clean != text:
            record.msg, record.args = clean, ()
        if record.exc_info and record.exc_info[1] is not None:
            self._scrub_exception(record)
        return record

    @staticmethod
    def _scrub_exception(record: logging.LogRecord) -> None:
        """Leave the traceback as text where it shows a secret; formatters print that text instead of making it anew."""
        text = logging.Formatter().formatException(record.exc_info)  # type: ignore[arg-type]  # checked by the caller
        if (clean := scrub(text)) != text:
            record.exc_text, record.exc_info = clean, None


def _scrub_records() -> None:
    """Scrub at the birth of a record: a filter on a logger would miss what its children log."""
    made_by = logging.getLogRecordFactory()
    if not isinstance(made_by, _Scrubbing):
        logging.setLogRecordFactory(_Scrubbing(made_by))
