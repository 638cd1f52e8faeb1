"""Alerting: alerts, incidents, their audit log, escalations, silences, and deliveries with what channels are like."""

from typing import Final

import sqlalchemy as sa
from alembic import op

from calslo_dagster.store.columns import (
    BOOL,
    DIGEST,
    FLOAT,
    INSTANT,
    INT,
    JSON,
    NAME,
    PATH,
    SLICE,
    TEXT,
    WORD,
    key,
    numbered,
    optional,
    required,
)

revision = "0002"
down_revision = "0001"

_REFUSED: Final = "alert_events is only ever added to"
# SQLite runs no delete trigger for the row that INSERT OR REPLACE replaces, hence the third one. A later migration that
# has Alembic copy the table must create them again.
_SQLITE_TRIGGERS: Final = (
    f"""CREATE TRIGGER alert_events_no_update BEFORE UPDATE ON alert_events
    BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
    f"""CREATE TRIGGER alert_events_no_delete BEFORE DELETE ON alert_events
    BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
    f"""CREATE TRIGGER alert_events_no_replace BEFORE INSERT ON alert_events
    WHEN EXISTS (SELECT 1 FROM alert_events WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END""",
)
_POSTGRESQL_TRIGGERS: Final = (
    f"""CREATE FUNCTION calslo_refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'integrity_constraint_violation'; END $$""",
    """CREATE TRIGGER alert_events_no_change BEFORE UPDATE OR DELETE ON alert_events
    FOR EACH ROW EXECUTE FUNCTION calslo_refuse_change()""",
    """CREATE TRIGGER alert_events_no_truncate BEFORE TRUNCATE ON alert_events
    FOR EACH STATEMENT EXECUTE FUNCTION calslo_refuse_change()""",
)


def upgrade() -> None:
    """Create the tables, and the triggers that keep the audit log as it was written."""
    _create_alerts()
    _create_events()
    _create_deliveries()
    _create_decisions()
    _create_states()
    # The first outbox held announcements, which name no incident that could end or be acknowledged.
    op.drop_table("outbox")


def _create_alerts() -> None:
    op.create_table(
        "alerts",
        *key(id=DIGEST),
        *required(fingerprint=DIGEST, episode=INT, kind=WORD, name=SLICE, slice=SLICE, model=NAME, environment=NAME),
        *required(state=WORD, severity=WORD, since=INSTANT, seen_at=INSTANT, finding=JSON, values=JSON, source_id=TEXT),
        *optional(open_key=DIGEST, incident_id=DIGEST, fired_at=INSTANT, resolved_at=INSTANT),
        *required(reason=TEXT),
        sa.UniqueConstraint("open_key"),
        sa.UniqueConstraint("fingerprint", "episode"),
    )
    op.create_index("ix_alerts_incident_id", "alerts", ["incident_id"])
    op.create_table(
        "incidents",
        *key(id=DIGEST),
        *required(group_key=PATH, episode=INT, labels=JSON, state=WORD, severity=WORD, peak_severity=WORD),
        *required(opened_at=INSTANT, members=INT, flaps=INT),
        *optional(open_key=PATH, acked_by=TEXT, acked_at=INSTANT, ack_expires_at=INSTANT, clear_since=INSTANT),
        *optional(resolved_at=INSTANT, resolved_by=TEXT, next_repeat_at=INSTANT, suppressed_by=TEXT),
        *required(reason=TEXT),
        sa.UniqueConstraint("open_key"),
        sa.UniqueConstraint("group_key", "episode"),
    )
    op.create_index("ix_incidents_opened_at", "incidents", ["opened_at"])


def _create_events() -> None:
    op.create_table(
        "alert_events",
        *key(id=INT),
        *required(incident_id=DIGEST, kind=NAME, at=INSTANT, actor=TEXT, source=TEXT, reason=TEXT, payload=TEXT),
        *required(prev_hash=DIGEST, hash=DIGEST),
    )
    op.create_index("ix_alert_events_incident_id", "alert_events", ["incident_id"])
    op.create_index("ix_alert_events_at", "alert_events", ["at"])
    is_sqlite = op.get_bind().dialect.name == "sqlite"
    for statement in _SQLITE_TRIGGERS if is_sqlite else _POSTGRESQL_TRIGGERS:
        op.execute(statement)


def _create_deliveries() -> None:
    op.create_table(
        "deliveries",
        numbered(),
        *required(incident_id=DIGEST, channel=NAME, seq=INT, action=WORD, cause=TEXT, reason=TEXT, idem_key=DIGEST),
        *required(dedup_key=NAME, facts=JSON, status=WORD, priority=INT, ordered_at=INSTANT, due_at=INSTANT),
        *required(not_before=INSTANT, attempts=INT, ambiguous=BOOL),
        *optional(expires_at=INSTANT, lease_token=NAME, lease_until=INSTANT, ended_at=INSTANT),
        *optional(failure=WORD, outcome=TEXT, ref=JSON),
        sa.UniqueConstraint("idem_key"),
        sa.UniqueConstraint("incident_id", "channel", "seq"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_deliveries_status_channel", "deliveries", ["status", "channel"])
    op.create_table(
        "delivery_attempts",
        *key(delivery_id=INT, n=INT),
        *required(worker=NAME),
        *optional(started_at=INSTANT),
        *required(ended_at=INSTANT, result=WORD),
        *optional(retry_after_seconds=FLOAT, detail=TEXT),
    )


def _create_decisions() -> None:
    op.create_table(
        "silences",
        numbered(),
        *required(kind=WORD, matchers=JSON, starts_at=INSTANT),
        *optional(ends_at=INSTANT),
        *required(zone=NAME),
        *optional(rrule=TEXT, duration_seconds=FLOAT),
        *required(covers_emergency=BOOL, reason=TEXT, author=TEXT, ticket=TEXT, created_at=INSTANT),
        *optional(expired_at=INSTANT),
        *required(expired_by=TEXT, matched=INT),
        *optional(last_matched_at=INSTANT),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "escalations",
        *key(incident_id=DIGEST),
        *required(policy=JSON, round=INT, step=INT, repeats=INT),
        *optional(due_at=INSTANT),
        *required(state=WORD),
    )
    op.create_index("ix_escalations_state_due_at", "escalations", ["state", "due_at"])
    op.create_table("escalation_steps", *key(incident_id=DIGEST, round=INT, step=INT), *required(taken_at=INSTANT))


def _create_states() -> None:
    op.create_table(
        "channel_states",
        *key(name=NAME),
        *required(phase=WORD, failures=INT, opens=INT),
        *optional(open_until=INSTANT, probe_token=NAME, probe_until=INSTANT, paused_until=INSTANT),
        *required(every_us=INT, burst=INT, tat_us=INT),
        *optional(ok_at=INSTANT, failed_at=INSTANT, failure=WORD),
    )
    op.create_table("heartbeats", *key(component=SLICE), *required(last_at=INSTANT, every_seconds=FLOAT))
    op.create_table(
        "troubles",
        *key(component=SLICE),
        *required(severity=WORD, since=INSTANT, reason=TEXT, source_id=NAME),
    )
