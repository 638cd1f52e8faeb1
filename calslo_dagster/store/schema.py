"""Every table of the state store.

`measurements` is keyed by (slo, window_end, slice) in that order: a partition is then one range of the key, which makes
replacing a day an append, and one index serves ranges over all slices as well as the history of one.
"""

from typing import Final

import sqlalchemy as sa

from calslo_dagster.store.columns import (
    BLOB,
    BOOL,
    DATE,
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

# The newest migration; `open_store` compares it with the database without loading Alembic.
REVISION: Final = "0008"
VERSION_TABLE: Final = "calslo_schema_version"

metadata: Final = sa.MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    }
)

# One unit of input: a file, or a range of a table.
source_units: Final = sa.Table(
    "source_units",
    metadata,
    *key(source=NAME, role=WORD, unit=PATH),
    *required(fingerprint=TEXT, rows=INT, hours=JSON, rejected=JSON, retry=BOOL, seen_at=INSTANT),
    *optional(first_us=INT, last_us=INT, error=TEXT),
)

# The manifest of snapshot partials: a file that no row names does not exist for any reader.
partials: Final = sa.Table(
    "partials",
    metadata,
    *key(source=NAME, kind=WORD, batch=SLICE, span_start_us=INT, span_end_us=INT),
    *required(totals_us=INT, cells_us=INT, inputs_digest=DIGEST, content_digest=DIGEST, path=PATH, rows=JSON),
    *required(run_id=NAME, created_at=INSTANT),
    *optional(first_us=INT, last_us=INT),
)

watermarks: Final = sa.Table(
    "watermarks", metadata, *key(source=NAME), *optional(watermark=INSTANT, last_event=INSTANT)
)

slices: Final = sa.Table("slices", metadata, *key(name=SLICE), *required(view=TEXT, values=JSON))

# A limit that is a pair keeps its lower end in `threshold` and its upper end in `threshold_high`.
measurements: Final = sa.Table(
    "measurements",
    metadata,
    *key(slo=NAME, window_end=INSTANT, slice=SLICE),
    *required(model=NAME, window_start=INSTANT),
    *optional(value=FLOAT, threshold=FLOAT, threshold_high=FLOAT, warn_threshold=FLOAT),
    *optional(warn_threshold_high=FLOAT, low=FLOAT, high=FLOAT),
    *required(events=INT, labeled=INT, verdict=WORD, reason=TEXT, is_final=BOOL),
    *optional(watermark=INSTANT),
    *required(definition_hash=DIGEST, code_version=NAME, run_id=NAME, mode=WORD),
    *optional(debiased=FLOAT, bins=INT, e_value=FLOAT, evidence=FLOAT, detectable=FLOAT, needed=INT),
)

# The evidence of an SLO in evidence mode after its windows up to an end, per slice; `*` is the fleet's own part.
detector_states: Final = sa.Table(
    "detector_states",
    metadata,
    *key(slo=NAME, window_end=INSTANT, slice=SLICE),
    *required(digest=DIGEST, state=BLOB),
)

# What the measurements at a window end were taken from: the digest of the partials and settings they rest on.
evaluations: Final = sa.Table(
    "evaluations",
    metadata,
    *key(slo=NAME, window_end=INSTANT),
    *required(inputs_digest=DIGEST, evaluated_at=INSTANT),
)

# Final windows by verdict, provisional ones apart: what availability adds up instead of the measurements.
slo_days: Final = sa.Table(
    "slo_days",
    metadata,
    *key(slo=NAME, day=DATE, slice=SLICE, model=NAME),
    *required(meeting=INT, warning=INT, breached=INT, unknown=INT, error=INT, excluded=INT, provisional=INT),
)

drift: Final = sa.Table(
    "drift",
    metadata,
    *key(week_end=INSTANT, slice=SLICE, metric=NAME),
    *optional(current=FLOAT, previous=FLOAT, delta=FLOAT, se=FLOAT, low=FLOAT, high=FLOAT),
    *required(events_current=INT, events_previous=INT),
    *optional(limit=FLOAT),
    *required(verdict=WORD, reason=TEXT),
    *optional(p_value=FLOAT, q_value=FLOAT, events_needed=INT),
)

# Why a metric of a slice changed: the row whose part is the slice itself sums up those of its finer slices.
drift_attributions: Final = sa.Table(
    "drift_attributions",
    metadata,
    *key(week_end=INSTANT, slice=SLICE, metric=NAME, part=SLICE),
    *optional(current=FLOAT, previous=FLOAT),
    *required(delta=FLOAT, mix=FLOAT, scores=FLOAT, outcome=FLOAT, coverage=FLOAT),
    *required(share_current=FLOAT, share_previous=FLOAT),
)

# How far the scores of a slice moved.
drift_distances: Final = sa.Table(
    "drift_distances",
    metadata,
    *key(week_end=INSTANT, slice=SLICE, name=NAME),
    *required(value=FLOAT, floor=FLOAT, p_value=FLOAT, events=INT, reading=TEXT),
)

# `quantity` is shift, slope or either; `forecast` is the 10, 50 and 90 % quantiles of the 30 days from `day` on.
trends: Final = sa.Table(
    "trends",
    metadata,
    *key(slo=NAME, day=DATE, slice=SLICE, quantity=WORD),
    *required(points=INT, direction=WORD),
    *optional(probability=FLOAT, p_degrading=FLOAT, per_day=FLOAT, se=FLOAT, z=FLOAT, limit_low=FLOAT),
    *optional(limit_high=FLOAT, p7=FLOAT, p30=FLOAT),
    *required(forecast=JSON),
    *optional(breach_on=DATE),
    *required(days_needed=INT, reason=TEXT),
)

breaches: Final = sa.Table(
    "breaches",
    metadata,
    *key(id=DIGEST),
    *required(slo=NAME, slice=SLICE, model=NAME, onset=INSTANT, opened_at=INSTANT, last_bad_at=INSTANT),
    *optional(recovered_at=INSTANT, closed_at=INSTANT),
    *optional(peak_value=FLOAT, peak_excess=FLOAT, peak_at=INSTANT, threshold=FLOAT, threshold_high=FLOAT),
    *required(windows_bad=INT, windows_met=INT, windows_unknown=INT, windows_excluded=INT),
    *required(is_provisional=BOOL, reason=TEXT),
)
sa.Index(None, breaches.c.slo, breaches.c.slice, breaches.c.onset)

# The state of the breach fold before the first window of the day.
breach_states: Final = sa.Table("breach_states", metadata, *key(slo=NAME, slice=SLICE, day=DATE), *required(state=JSON))

# `basis` identifies what the causes were computed from, so that a breach is explained again only when that has changed.
breach_causes: Final = sa.Table(
    "breach_causes",
    metadata,
    *key(breach_id=DIGEST, rank=INT),
    *required(kind=WORD, score=FLOAT, evidence=TEXT, advice=TEXT, basis=DIGEST, found_at=INSTANT),
)

# `day` is the partition that found it, which replaces all that it found before.
anomalies: Final = sa.Table(
    "anomalies",
    metadata,
    *key(day=DATE, slice=SLICE, kind=WORD, starts_at=INSTANT),
    *required(ends_at=INSTANT, value=FLOAT, expected=FLOAT, low=FLOAT, high=FLOAT, score=FLOAT, reason=TEXT),
)

unfolded_days: Final = sa.Table("unfolded_days", metadata, *key(slo=NAME, day=DATE))

availability: Final = sa.Table(
    "availability",
    metadata,
    *key(slo=NAME, slice=SLICE, period_days=INT, as_of=INSTANT),
    *required(target=FLOAT, good=INT, bad=INT, unknown=INT, excluded=INT, expected=INT),
    *optional(coverage=FLOAT, low=FLOAT, high=FLOAT, observed=FLOAT, up_share=FLOAT),
    *optional(budget_allowed=INT, budget_used=INT, budget_left=INT),
    *optional(mttr_seconds=FLOAT, mttr_low_seconds=FLOAT, mttr_high_seconds=FLOAT),
    *optional(mttf_seconds=FLOAT, mttf_low_seconds=FLOAT, mttf_high_seconds=FLOAT),
    *optional(mtbf_seconds=FLOAT, mtbf_low_seconds=FLOAT, mtbf_high_seconds=FLOAT),
    *required(mttr_censored=BOOL, mttf_censored=BOOL, mtbf_censored=BOOL, verdict=WORD, burn=JSON),
)

manifests: Final = sa.Table(
    "manifests",
    metadata,
    *key(model=NAME, slice=SLICE, version=NAME),
    *optional(alpha=FLOAT, bins=INT, c_hat=FLOAT),
    *required(edges=JSON, fit_counts=JSON),
    *optional(mask_id=NAME, fitted_at=INSTANT),
)

definitions: Final = sa.Table(
    "definitions", metadata, *key(hash=DIGEST), *required(slo=NAME, body=JSON, first_seen=INSTANT)
)

health: Final = sa.Table(
    "health",
    metadata,
    *key(as_of=INSTANT, scope_kind=WORD, scope_name=SLICE),
    *optional(score=INT),
    *required(word=WORD, reason=TEXT, measured=INT, breached=INT, warnings=INT, unknown=INT, errors=INT, excluded=INT),
)

# `sqlite_autoincrement`: an id is never given out twice, so that what refers to a removed row stays unambiguous.
exclusions: Final = sa.Table(
    "exclusions",
    metadata,
    numbered(),
    *required(starts_at=INSTANT, ends_at=INSTANT, slos=TEXT, slices=TEXT, models=TEXT),
    *required(reason=TEXT, author=TEXT, created_at=INSTANT),
    sqlite_autoincrement=True,
)

# One episode of trouble of one subject; `open_key` is the fingerprint while it goes on, so there is never a second.
alerts: Final = sa.Table(
    "alerts",
    metadata,
    *key(id=DIGEST),
    *required(fingerprint=DIGEST, episode=INT, kind=WORD, name=SLICE, slice=SLICE, model=NAME, environment=NAME),
    *required(state=WORD, severity=WORD, since=INSTANT, seen_at=INSTANT, finding=JSON, values=JSON, source_id=TEXT),
    *optional(open_key=DIGEST, incident_id=DIGEST, fired_at=INSTANT, resolved_at=INSTANT),
    *required(reason=TEXT),
    sa.UniqueConstraint("open_key"),
    sa.UniqueConstraint("fingerprint", "episode"),
)
sa.Index(None, alerts.c.incident_id)

# As with alerts, `open_key` is the group key while the incident goes on.
incidents: Final = sa.Table(
    "incidents",
    metadata,
    *key(id=DIGEST),
    *required(group_key=PATH, episode=INT, labels=JSON, state=WORD, severity=WORD, peak_severity=WORD),
    *required(opened_at=INSTANT, members=INT, flaps=INT),
    *optional(open_key=PATH, acked_by=TEXT, acked_at=INSTANT, ack_expires_at=INSTANT, clear_since=INSTANT),
    *optional(resolved_at=INSTANT, resolved_by=TEXT, next_repeat_at=INSTANT, suppressed_by=TEXT),
    *required(reason=TEXT),
    *optional(acked_severity=WORD, flaps_since=INSTANT),
    sa.UniqueConstraint("open_key"),
    sa.UniqueConstraint("group_key", "episode"),
)
sa.Index(None, incidents.c.opened_at)

# The audit log: each row's hash covers the row and the hash before it; triggers refuse every change of a row. `payload`
# is JSON in one fixed form, kept as text because the hash is taken of the text.
alert_events: Final = sa.Table(
    "alert_events",
    metadata,
    *key(id=INT),
    *required(incident_id=DIGEST, kind=NAME, at=INSTANT, actor=TEXT, source=TEXT, reason=TEXT, payload=TEXT),
    *required(prev_hash=DIGEST, hash=DIGEST),
)
sa.Index(None, alert_events.c.incident_id)
sa.Index(None, alert_events.c.at)

# The outbox, one message for one channel. `due_at` is when it was first to go, `not_before` when it may next be tried;
# `facts` and `dedup_key` are frozen when it is ordered, so that it says what was so then.
deliveries: Final = sa.Table(
    "deliveries",
    metadata,
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
sa.Index(None, deliveries.c.status, deliveries.c.channel)

# What each attempt met, written when it is over; of one that was cut short, the next one says so.
delivery_attempts: Final = sa.Table(
    "delivery_attempts",
    metadata,
    *key(delivery_id=INT, n=INT),
    *required(worker=NAME),
    *optional(started_at=INSTANT),
    *required(ended_at=INSTANT, result=WORD),
    *optional(retry_after_seconds=FLOAT, detail=TEXT),
)

# Rows are never deleted, only expired, so that every page that was not sent can be explained.
silences: Final = sa.Table(
    "silences",
    metadata,
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

# `policy` is the one of the time when the escalation began.
escalations: Final = sa.Table(
    "escalations",
    metadata,
    *key(incident_id=DIGEST),
    *required(policy=JSON, round=INT, step=INT, repeats=INT),
    *optional(due_at=INSTANT),
    *required(state=WORD),
    *optional(owed=INT),
    sa.Column("pages", INT, nullable=False, server_default="1"),
)
sa.Index(None, escalations.c.state, escalations.c.due_at)

# That a step is taken once is this key.
escalation_steps: Final = sa.Table(
    "escalation_steps", metadata, *key(incident_id=DIGEST, round=INT, step=INT), *required(taken_at=INSTANT)
)

# What all dispatchers know of a channel. `tat_us` is when its next message is due, were all evenly spaced, in
# microseconds: an instant is text on SQLite, which cannot be added to.
channel_states: Final = sa.Table(
    "channel_states",
    metadata,
    *key(name=NAME),
    *required(phase=WORD, failures=INT, opens=INT),
    *optional(open_until=INSTANT, probe_token=NAME, probe_until=INSTANT, paused_until=INSTANT),
    *required(every_us=INT, burst=INT, tat_us=INT),
    *optional(ok_at=INSTANT, failed_at=INSTANT, failure=WORD),
)

heartbeats: Final = sa.Table(
    "heartbeats", metadata, *key(component=SLICE), *required(last_at=INSTANT, every_seconds=FLOAT)
)

# What is wrong with ourselves just now; a row is gone when it is well again, and the incident it made tells of it.
troubles: Final = sa.Table(
    "troubles",
    metadata,
    *key(component=SLICE),
    *required(severity=WORD, since=INSTANT, reason=TEXT, source_id=NAME),
)

# The secret itself is nowhere: `id` is its first part, by which it is found, `digest` the SHA-256 of all of it.
api_tokens: Final = sa.Table(
    "api_tokens",
    metadata,
    *key(id=WORD),
    *required(name=NAME, digest=DIGEST, scopes=JSON, created_at=INSTANT, created_by=TEXT),
    *optional(expires_at=INSTANT, revoked_at=INSTANT),
    *required(revoked_by=TEXT),
)
