"""A real Alertmanager takes our alerts, and its own tool sees them."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings

from calslo_dagster.alerting.model import Action, Severity
from calslo_dagster.channels.alertmanager import AlertmanagerChannel
from calslo_dagster.channels.base import Letter
from calslo_dagster.channels.secret import Secret
from calslo_dagster_tests.channels.delivery import deliver
from calslo_dagster_tests.channels.letters import facts, hostile_letters, letter
from calslo_dagster_tests.peers.alertmanager import Alertmanager, UnobtainableError, running_alertmanager


@pytest.fixture(scope="module")
def alertmanager() -> Iterator[Alertmanager]:
    try:
        with running_alertmanager() as running:
            yield running
    except UnobtainableError as error:
        pytest.fail(str(error))


@pytest.fixture
def channel(alertmanager: Alertmanager) -> AlertmanagerChannel:
    return AlertmanagerChannel("am", Secret(alertmanager.url))


def dated(action: Action, incident: str, *, ref: dict[str, str] | None = None, severity: str = "critical") -> Letter:
    """Return a letter of today: Alertmanager judges by its own clock whether an alert has ended."""
    now = datetime.now(UTC)
    known = replace(
        facts(), incident_id=incident, since=now - timedelta(hours=1), opened_at=now - timedelta(minutes=50)
    )
    made = letter(action, known, ref=ref, severity=Severity(severity))
    return replace(made, at=now)


def test_a_firing_alert_is_seen_and_a_resolve_ends_it(alertmanager: Alertmanager, channel: AlertmanagerChannel) -> None:
    ref = dict(deliver(channel, dated(Action.TRIGGER, "seen")).ref)

    (alert,) = alertmanager.alerts("incident=seen")
    labels = {
        "alertname": "ece_bound", "kind": "breach", "slo": "ece_bound", "model": "fraud",
        "environment": "production", "incident": "seen", "severity": "critical",
    }  # fmt: skip
    assert alert["labels"] == labels
    assert alert["annotations"]["summary"].startswith("trigger fraud")
    assert alert["annotations"]["runbook_url"] == "https://example.org/runbook?slo=ece_bound&x=1"
    assert alert["generatorURL"] == "https://example.org/runbook?slo=ece_bound&x=1"

    deliver(channel, dated(Action.RESOLVE, "seen", ref=ref))
    assert alertmanager.alerts("incident=seen") == []


def test_a_heartbeat_prolongs_an_alert(alertmanager: Alertmanager, channel: AlertmanagerChannel) -> None:
    short = replace(channel, keep=timedelta(seconds=30))
    ref = dict(deliver(short, dated(Action.TRIGGER, "beats")).ref)
    (before,) = alertmanager.alerts("incident=beats")

    deliver(channel, dated(Action.UPDATE, "beats", ref=ref))

    (after,) = alertmanager.alerts("incident=beats")
    ends = [datetime.fromisoformat(alert["endsAt"]) for alert in (before, after)]
    assert ends[1] - ends[0] > timedelta(minutes=4)
    assert before["startsAt"] == after["startsAt"]
    assert short.resend_after == timedelta(seconds=10)


def test_a_letter_that_waited_for_hours_still_fires(alertmanager: Alertmanager, channel: AlertmanagerChannel) -> None:
    waited = dated(Action.TRIGGER, "late")

    deliver(channel, replace(waited, at=waited.at - timedelta(hours=6)))

    assert len(alertmanager.alerts("incident=late")) == 1


def test_a_rise_in_severity_replaces_the_alert(alertmanager: Alertmanager, channel: AlertmanagerChannel) -> None:
    ref = dict(deliver(channel, dated(Action.TRIGGER, "rises", severity="warning")).ref)

    ref = dict(deliver(channel, dated(Action.TRIGGER, "rises", ref=ref)).ref)
    assert [alert["labels"]["severity"] for alert in alertmanager.alerts("incident=rises")] == ["critical"]

    deliver(channel, dated(Action.RESOLVE, "rises", ref=ref))
    assert alertmanager.alerts("incident=rises") == []


def test_a_test_is_told_from_an_alert(alertmanager: Alertmanager, channel: AlertmanagerChannel) -> None:
    deliver(channel, dated(Action.TEST, "tested"))

    (alert,) = alertmanager.alerts("incident=tested")
    assert alert["labels"]["kind"] == "test"


@given(hostile_letters)
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_it_accepts_any_text(channel: AlertmanagerChannel, hostile: Letter) -> None:
    deliver(channel, hostile)
