"""Escalations: where each incident stands on the policy it began with, and which steps were taken."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from calslo_dagster.alerting.model import Escalation, EscalationState, Policy, Severity, Step, Target
from calslo_dagster.store import rows as stored
from calslo_dagster.store.schema import escalation_steps, escalations


def put(session: Session, found: Iterable[Escalation]) -> None:
    """Record where the escalations stand now."""
    records = stored.records(escalations, found)
    stored.upsert(session, escalations, [record | {"policy": _to_json(record["policy"])} for record in records])


def due(session: Session, now: datetime) -> tuple[Escalation, ...]:
    """Return the running escalations whose next step is due, longest due first."""
    is_due = (escalations.c.state == str(EscalationState.RUNNING), escalations.c.due_at <= now)
    return _loaded(session, sa.select(escalations).where(*is_due))


def of(session: Session, incident_ids: Iterable[str]) -> dict[str, Escalation]:
    """Return the escalations of these incidents, by incident."""
    wanted = (sa.select(escalations).where(escalations.c.incident_id.in_(s)) for s in stored.chunks(incident_ids))
    return {one.incident_id: one for some in wanted for one in _loaded(session, some)}


def take_step(session: Session, taken: tuple[str, int, int], *, now: datetime) -> bool:
    """Put on record that this step, as (incident, round, step), is taken; return False if it was taken before."""
    record = dict(zip(("incident_id", "round", "step"), taken, strict=True)) | {"taken_at": now}
    return stored.insert_once(session, escalation_steps, record)


def _loaded(session: Session, wanted: sa.Select[Any]) -> tuple[Escalation, ...]:
    ordered = wanted.order_by(escalations.c.due_at, escalations.c.incident_id)
    return stored.load(session, ordered, Escalation, policy=_from_json, state=EscalationState)


def _to_json(policy: Policy) -> dict[str, Any]:
    return {"name": policy.name, "steps": [_step_to_json(step) for step in policy.steps]}


def _step_to_json(step: Step) -> dict[str, Any]:
    return {
        "wait": step.wait.total_seconds(),
        "channels": list(step.channels),
        "repeat": step.repeat,
        "still": str(step.still),
        "at_least": str(step.at_least),
    }


def _from_json(data: Mapping[str, Any]) -> Policy:
    return Policy(data["name"], tuple(_step_from_json(step) for step in data["steps"]))


def _step_from_json(data: Mapping[str, Any]) -> Step:
    step = Step(wait=timedelta(seconds=data["wait"]), channels=tuple(data["channels"]), repeat=data["repeat"])
    return replace(step, still=Target(data["still"]), at_least=Severity(data["at_least"]))
