"""What every channel is, what it is given, and the two ways in which sending fails."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol

from calslo_dagster.alerting.facts import Facts, Words
from calslo_dagster.alerting.model import Action, Severity
from calslo_dagster.errors import CalsloError


class Failure(StrEnum):
    """Why a message did not go out, in the words of Alertmanager's `reason`."""

    RATE_LIMITED = "rateLimited"
    SERVER_ERROR = "serverError"
    NETWORK = "network"
    DEADLINE = "deadlineExceeded"
    AMBIGUOUS = "ambiguous"
    AUTH = "authError"
    CLIENT = "clientError"
    TEMPLATE = "templateError"


class Retryable(CalsloError):  # noqa: N818 - it says what to do, as callers read it
    """The message did not arrive, but may at the next try.

    retry_after: how long the other side asked us to wait; may_have_arrived: it may be there all the same; ref: what
    has been reached so far, kept like that of a receipt and given to the next attempt.
    """

    def __init__(
        self,
        message: str,
        failure: Failure = Failure.NETWORK,
        *,
        retry_after: timedelta | None = None,
        may_have_arrived: bool = False,
        ref: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.failure = failure
        self.retry_after = retry_after
        self.may_have_arrived = may_have_arrived
        self.ref: Mapping[str, str] = ref or {}


class Rejected(CalsloError):  # noqa: N818 - it says what to do, as callers read it
    """The message will never arrive in this form; a person has to look."""

    def __init__(self, message: str, failure: Failure = Failure.CLIENT) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass(frozen=True, slots=True)
class Letter:
    """One message for one channel.

    key: the same for every attempt; dedup_key: the same for all messages of one episode of the incident; seq: the place
    among the channel's messages of the incident, from 1; first_try: False when an earlier attempt may have arrived;
    ref: what the channel returned for earlier messages of the incident.
    """

    key: str
    incident_id: str
    dedup_key: str
    seq: int
    episode: int
    action: Action
    severity: Severity
    words: Words
    facts: Facts
    at: datetime
    first_try: bool = True
    ref: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Receipt:
    """What the other side answered: `ref` is kept and given to later messages of the same incident."""

    ref: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""


class Channel(Protocol):
    """A way to reach people."""

    @property
    def name(self) -> str:
        """What the channel is called in settings and on record."""
        ...

    async def send(self, letter: Letter) -> Receipt:
        """Deliver the letter, or raise Retryable or Rejected. The caller bounds the time that it may take."""
        ...
