"""A message names what silences just its incident, and where to read what to do."""

import shlex
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from calslo_dagster.alerting.facts import Facts, Link
from calslo_dagster.alerting.message import compose
from calslo_dagster.alerting.model import Action
from calslo_dagster.channels.pagerduty import described
from calslo_dagster.channels.slack_blocks import full
from calslo_dagster.pipeline.project import Project
from calslo_dagster.slo.causes import Cause, CauseKind
from calslo_dagster.slo.model import Severity
from calslo_dagster.store import breach_causes, breaches, deliveries, troubles
from calslo_dagster.store.session import Lock
from calslo_dagster.store.troubles import Trouble
from calslo_dagster_tests.channels.letters import letter
from calslo_dagster_tests.cli.running import run
from calslo_dagster_tests.pipeline.incident_room import NOON, POLICY, Room, room_at

LATER = NOON + timedelta(hours=1)
COPY = "  runbook_url: https://wiki.test/books\n"


def told(room: Room) -> Facts:
    with room.project.store.read() as session:
        [message] = deliveries.of_incident(session, room.incident.id)
    return message.facts


def stand_still(project: Project) -> None:
    with project.store.write(Lock.ALERTS) as session:
        troubles.put(session, Trouble("evaluation", Severity.EMERGENCY, NOON, "No SLO has been evaluated."))


def break_promise(room: Room) -> None:
    room.breach("intent=buy")


def test_the_silence_of_a_message_is_about_its_kind_slo_model_and_environment_only(tmp_path: Path) -> None:
    room = room_at(tmp_path)
    with room.project.store:
        room.breach("intent=buy")
        room.look()
        [command] = [line for line in told(room).answers if "silence add" in line]

        words = shlex.split(command)
        assert words[3:7] == ["kind=breach", "slo=ece_bound", "model=intent", "environment=prod"]
        done = run(*words[1:], "--config", room.file, "--author", "ada")
    assert "Held back from now on: " in done.stdout
    assert "(breach of ece_bound, intent, prod, critical)" in done.stdout


@pytest.mark.parametrize(
    ("happens", "name"),
    [(break_promise, "ece_bound"), (lambda room: stand_still(room.project), "pipeline")],
)
def test_every_message_leads_to_its_runbook(tmp_path: Path, happens: Callable[[Room], None], name: str) -> None:
    room = room_at(tmp_path)
    with room.project.store:
        happens(room)
        room.look()
        facts = told(room)

    assert f"calslo runbook {name}" in facts.answers
    assert f"\n  calslo runbook {name}\n" in compose(facts, Action.TRIGGER).text
    assert facts.links == ()


def test_with_an_address_the_runbook_is_a_link_everywhere(tmp_path: Path) -> None:
    room = room_at(tmp_path, alerting=COPY + POLICY)
    with room.project.store:
        room.breach("intent=buy")
        room.look()
        facts = told(room)

    address = "https://wiki.test/books/ece_bound.md"
    assert facts.links == (Link("Runbook", address),)
    assert not any("calslo runbook" in command for command in facts.answers)
    assert f"Runbook: {address}" in compose(facts, Action.TRIGGER).text
    page = letter(known=facts)
    assert described(page)["links"] == [{"href": address, "text": "Runbook"}]
    [buttons] = [block for block in full(page, interactive=True) if block["type"] == "actions"]
    assert [one["url"] for one in buttons["elements"] if "url" in one] == [address]


@pytest.mark.parametrize(("found_at", "score", "is_told"), [(NOON, 0.8, True), (LATER, 0.8, False), (NOON, 0.2, False)])
def test_the_likely_cause_is_told_if_it_stands_out_and_was_known_by_then(
    tmp_path: Path, found_at: datetime, score: float, is_told: bool
) -> None:
    room = room_at(tmp_path)
    cause = Cause(CauseKind.OUTCOME, score, "Labels came at another rate.", "Look at the feed.")
    with room.project.store:
        room.breach("intent=buy")
        with room.project.store.write() as session:
            [breach] = breaches.open_ones(session)
            breach_causes.replace(session, breach.id, [cause], basis="b", at=found_at)
        room.look()
        facts = told(room)

    assert facts.cause == (cause.evidence if is_told else "")
    assert (f"Likely cause: {cause.evidence}" in compose(facts, Action.TRIGGER).text) is is_told
    page = letter(known=facts)
    assert (cause.evidence in str(described(page))) is is_told
    assert (cause.evidence in str(full(page, interactive=False))) is is_told
