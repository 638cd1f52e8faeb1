"""From breaches to messages: what is ordered, when, and what is on record about it."""

import shlex
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Action, Alert, AlertState, Incident, IncidentState, Severity
from calslo_dagster.cli.main import cli
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.replay_alerts import replay_alerts
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import alert_events, alerts, breaches, deliveries, incidents
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.deliveries import Delivery
from calslo_dagster_tests.logs import HOUR, MINUTE, SETTINGS, START, slo_section
from calslo_dagster_tests.pipeline.conftest import OpenProject
from calslo_dagster_tests.pipeline.courses import course, hours, store
from calslo_dagster_tests.torture.scenery import ALWAYS, breach

NOW = START + DAY


def look(project: Project, now: datetime = NOW) -> int:
    """Fold what was measured, decide, and send; return how many messages were ordered."""
    track_breaches(project)
    ordered = advance_alerts(project, now=now)
    deliver_outbox(project, clock=lambda: now)
    return ordered


def change(project: Project, found: list[Breach], at: datetime) -> None:
    """Let just these breaches go on, and look."""
    with project.store.write() as session:
        breaches.replace_since(session, "score_range", found, since=ALWAYS)
    advance_alerts(project, now=at)
    deliver_outbox(project, clock=lambda: at)


def recent(project: Project) -> tuple[Incident, ...]:
    with project.store.read() as session:
        return incidents.recent(session)


def only(project: Project) -> Incident:
    with project.store.read() as session:
        [found] = incidents.recent(session)
    return found


def messages(session: Session) -> list[Delivery]:
    found = [one for incident in incidents.recent(session) for one in deliveries.of_incident(session, incident.id)]
    return sorted(found, key=lambda one: one.id)


def told(project: Project) -> list[tuple[Action, str]]:
    with project.store.read() as session:
        return [(one.action, str(one.status)) for one in messages(session)]


def all_alerts(project: Project) -> tuple[Alert, ...]:
    with project.store.read() as session:
        return tuple(a for i in incidents.recent(session) for a in alerts.of_incident(session, i.id))


def test_a_start_and_an_end_are_told_once_each(project: Project) -> None:
    hours(project, "mb")
    assert look(project) == 1
    assert look(project, NOW + MINUTE) == 0

    hours(project, "mbbmm")
    assert look(project, NOW + 2 * MINUTE) == 1
    assert look(project, NOW + 3 * MINUTE) == 0
    assert told(project) == [(Action.TRIGGER, "sent"), (Action.RESOLVE, "sent")]


def test_what_looks_like_a_breach_is_pending_until_enough_windows_have_shown_it(
    tmp_path: Path, open_at: OpenProject
) -> None:
    project = open_at(tmp_path, SETTINGS.replace("score_range: {", "score_range: {open_after: 2, "))
    hours(project, "mb")
    assert look(project, START + 2 * HOUR) == 0
    with project.store.read() as session:
        [pending] = alerts.open_ones(session)
    assert (pending.state, pending.since) == (AlertState.PENDING, START + 2 * HOUR)

    hours(project, "mbm")
    assert look(project, START + 3 * HOUR) == 0
    with project.store.read() as session:
        assert alerts.open_ones(session) == ()
        assert incidents.recent(session) == ()

    hours(project, "mbmbb")
    assert look(project, START + 5 * HOUR) == 1


def test_the_message_holds_the_facts_of_its_moment(project: Project) -> None:
    store(project, course("mbb", slice="intent=buy", model="ranker"), START, START + 3 * HOUR)
    look(project)

    with project.store.read() as session:
        [message] = messages(session)
    facts = message.facts
    assert (facts.slo, facts.model, facts.severity) == ("score_range", "ranker", Severity.EMERGENCY)
    assert (facts.since, facts.slices, facts.measured) == (START + HOUR, 1, 1)
    assert (facts.worst[0].slice, facts.worst[0].finding.value) == ("intent=buy", 0.5)
    assert facts.promise.startswith("at most 40 %")
    assert facts.first_action
    assert any(command.startswith("calslo alerts ack") for command in facts.answers)


@pytest.mark.parametrize("worst", [Severity.CRITICAL, Severity.EMERGENCY])
def test_the_silence_that_a_message_suggests_holds_its_incident_back(
    tmp_path: Path, open_at: OpenProject, worst: Severity
) -> None:
    settings = SETTINGS.replace("score_range: {", f"score_range: {{severity: {worst}, ")
    project = open_at(tmp_path, settings)
    change(project, [breach("intent=buy", NOW, model="m")], NOW)
    with project.store.read() as session:
        [message] = messages(session)
    [command] = [line for line in message.facts.answers if "silence add" in line]
    assert ("--covers-emergency" in command) is (worst is Severity.EMERGENCY)

    words = [*shlex.split(command)[1:], "--config", str(tmp_path / "calslo.yaml"), "--author", "ada"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert f"Held back from now on: {only(project).id}" in done.output


def test_a_breach_that_later_data_takes_back_ends_its_incident(project: Project) -> None:
    hours(project, "mmB")
    look(project)
    hours(project, "mmm")
    look(project, NOW + MINUTE)

    assert only(project).state is IncidentState.RESOLVED
    assert told(project)[-1] == (Action.RESOLVE, "sent")


def test_slices_of_one_promise_are_one_incident(project: Project) -> None:
    rows = [*course("mb", slice="intent=buy"), *course("mb", slice="intent=ask")]
    store(project, rows, START, START + 2 * HOUR)

    assert look(project) == 1
    assert {alert.subject.slice for alert in all_alerts(project)} == {"intent=buy", "intent=ask"}


def test_a_slice_that_breaks_as_another_recovers_is_seen_although_as_many_are_breached(project: Project) -> None:
    rows = [*course("mbmm", slice="intent=buy"), *course("mmbb", slice="intent=ask")]
    store(project, [row for row in rows if row.window_end <= START + 2 * HOUR], START, START + 2 * HOUR)
    look(project, START + 2 * HOUR)
    store(project, rows, START, START + 4 * HOUR)
    look(project, START + 4 * HOUR)

    states = {(alert.subject.slice, str(alert.state)) for alert in all_alerts(project)}
    assert states == {("intent=buy", "resolved"), ("intent=ask", "firing")}


def test_history_is_no_news_and_what_goes_on_is(project: Project) -> None:
    hours(project, "bbmm")
    assert look(project, START + 30 * DAY) == 0

    hours(project, "bbmmb")
    assert look(project, START + 30 * DAY + MINUTE) == 1


def test_after_a_standstill_incidents_have_the_times_at_which_they_would_have_been_seen(project: Project) -> None:
    hours(project, "m")
    look(project, START + HOUR)
    hours(project, "mbbbmm")
    look(project, START + DAY)

    incident = only(project)
    assert incident.opened_at == START + 2 * HOUR
    assert incident.resolved_at == START + 6 * HOUR
    # Nobody is woken for what is over.
    assert told(project) == [(Action.TRIGGER, "superseded")]


def test_a_history_is_played_with_its_own_times_and_once(project: Project) -> None:
    hours(project, "mbbbmmmmbmm")
    track_breaches(project)

    assert replay_alerts(project, since=START, now=NOW) == 8
    assert replay_alerts(project, since=START, now=NOW) == 0
    with project.store.read() as session:
        found = messages(session)
    sent = [(one.action, one.ordered_at - START) for one in found if one.action is not Action.DIGEST]
    # An emergency that goes on is told again each hour.
    assert len(found) - len(sent) == 4
    assert sent == [
        (Action.TRIGGER, 2 * HOUR),
        (Action.RESOLVE, 6 * HOUR),
        (Action.TRIGGER, 9 * HOUR),
        (Action.RESOLVE, 11 * HOUR),
    ]


def test_an_end_tells_of_the_first_and_the_worst_episode_of_what_flapped(project: Project) -> None:
    at, first = NOW, breach("intent=buy", NOW, model="m", peak_value=0.9, peak_excess=1.25)
    for n in range(4):
        found = replace(first, id=f"b{n}", onset=at, opened_at=at, peak_value=0.9 if n == 2 else 0.5)
        change(project, [replace(found, peak_excess=1.25 if n == 2 else 0.25)], at)
        change(project, [], at + MINUTE)
        at += 2 * MINUTE
    advance_alerts(project, now=at + 2 * HOUR)

    incident = max(recent(project), key=lambda one: one.episode)
    with project.store.read() as session:
        [end] = [one for one in deliveries.of_incident(session, incident.id) if one.action is Action.RESOLVE]
    assert incident.flaps == 3
    assert end.facts.slices == 1
    assert end.facts.since == NOW + 4 * MINUTE
    assert end.facts.peak is not None
    assert end.facts.peak.finding.value == 0.9


def test_an_alert_of_a_retired_slo_ends_with_that_reason(
    project: Project, tmp_path: Path, open_at: OpenProject
) -> None:
    hours(project, "mb")
    look(project)
    fewer = open_at(tmp_path, slo_section("disable: [score_range]\n"))

    advance_alerts(fewer, now=NOW + MINUTE)

    assert only(project).reason == "SLO score_range is retired"
    assert [alert.state for alert in all_alerts(project)] == [AlertState.RESOLVED]


def test_every_change_is_on_record_and_the_record_verifies(project: Project) -> None:
    hours(project, "mb")
    look(project)
    hours(project, "mbmm")
    look(project, NOW + MINUTE)

    with project.store.read() as session:
        kinds = [logged.event.kind for logged in alert_events.of_incident(session, only(project).id)]
        verified = alert_events.verify(session)
    assert kinds == ["opened", "escalation began", "notified", "delivered", "left", "resolved"]
    assert (verified.broken_id, verified.events) == (None, len(kinds))
