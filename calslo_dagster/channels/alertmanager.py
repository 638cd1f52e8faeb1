"""Prometheus Alertmanager, by its API v2.

Alertmanager keeps no alert that is not sent again: a firing one ends by itself `keep` after it was last sent. So the
caller sends an update letter for every firing incident each `resend_after`, or its alert ends while it is still true.
Such a letter is a heartbeat: it carries the same labels, and Alertmanager decides whether anybody hears of it.

Labels identify an alert there. They are `alertname` (the SLO), `kind`, `slo`, `model`, `environment`, `incident` and
`severity`; as a rise in severity makes it another alert, the letter that tells of it also ends the former one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from calslo_dagster.alerting.model import Action, Severity
from calslo_dagster.alerting.phrases import one_line
from calslo_dagster.channels import figures
from calslo_dagster.channels.base import Letter, Receipt
from calslo_dagster.channels.http import JSON_TYPE, encoded, post, utc_now
from calslo_dagster.channels.redact import conceal
from calslo_dagster.channels.secret import Secret

_PATH: Final = "/api/v2/alerts"
_TEXT: Final = 1000
_LONG_TEXT: Final = 8000
_TEST: Final = timedelta(minutes=1)
Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class AlertmanagerChannel:
    """Posts alerts to one Alertmanager; for a cluster configure one channel per member, as Prometheus does.

    url: its address without a path of the API; keep: how long it believes in an alert that is not sent again;
    authorization: the whole value of that header; now: the clock, as a letter that waited must not end its own alert.
    """

    name: str
    url: Secret
    keep: timedelta = timedelta(minutes=5)
    authorization: Secret | None = None
    now: Callable[[], datetime] = utc_now

    def __post_init__(self) -> None:
        conceal(self.url, self.authorization)

    @property
    def resend_after(self) -> timedelta:
        """How long after the last letter of a firing incident the next is due: two may fail before its alert ends."""
        return self.keep / 3

    async def send(self, letter: Letter) -> Receipt:
        """Post the alert, firing or ended."""
        former = letter.ref.get("severity", str(letter.severity))
        severities = {str(letter.severity): self._ends(letter)}
        if former != letter.severity and former in set(Severity):
            severities[former] = letter.at
        alerts = [_alert(letter, severity, ends) for severity, ends in severities.items()]
        headers = {**JSON_TYPE, **({"Authorization": self.authorization.reveal()} if self.authorization else {})}
        await post(self.name, self.url.reveal().rstrip("/") + _PATH, encoded(alerts), headers=headers)
        return Receipt({"severity": str(letter.severity)}, f"posted {len(alerts)}")

    def _ends(self, letter: Letter) -> datetime:
        if letter.action is Action.RESOLVE:
            return letter.at
        return self.now() + (_TEST if letter.action is Action.TEST else self.keep)


def _alert(letter: Letter, severity: str, ends: datetime) -> Json:
    address = next((link.url for link in figures.web_links(letter.facts)), "")
    return {
        "labels": _labels(letter, severity),
        "annotations": _annotations(letter),
        "startsAt": min(letter.facts.opened_at, ends).isoformat(),
        "endsAt": ends.isoformat(),
        **({"generatorURL": address} if address else {}),
    }


def _labels(letter: Letter, severity: str) -> dict[str, str]:
    facts = letter.facts
    named = {
        "alertname": facts.slo or "calslo",
        "kind": "test" if letter.action is Action.TEST else facts.kind,
        "slo": facts.slo,
        "model": facts.model,
        "environment": facts.environment,
        "incident": letter.incident_id,
        "severity": severity,
    }
    return {name: one_line(value, _TEXT) for name, value in named.items() if value}


def _annotations(letter: Letter) -> dict[str, str]:
    facts, book = letter.facts, figures.runbook(letter.facts)
    named = {
        "summary": letter.words.title,
        "description": letter.words.text[:_LONG_TEXT],
        "promise": facts.promise,
        "first_action": facts.first_action,
        "owner": facts.owner,
        "acknowledged_by": facts.acked_by,
        "runbook_url": book.url if book else "",
    }
    return {name: value for name, value in named.items() if value}
