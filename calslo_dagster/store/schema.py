"""Every table of the state store.

`measurements` is keyed by (slo, window_end, slice) in that order: a partition is then one range of the key, which makes
replacing a day an append, and one index serves ranges over all slices as well as the history of one.
"""

from typing import Final

import sqlalchemy as sa

from calslo_dagster.store.columns import (
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
REVISION: Final = "0001"
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
    *required(definition_hash=DIGEST, code_version=NAME, run_id=NAME),
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

# One message for one channel or for all; `key` keeps a repeated run from announcing the same thing twice.
outbox: Final = sa.Table(
    "outbox",
    metadata,
    numbered(),
    *required(key=SLICE, kind=WORD, payload=JSON, created_at=INSTANT),
    *optional(sent_at=INSTANT, channel=NAME),
    *required(attempts=INT),
    *optional(last_error=TEXT),
    sa.UniqueConstraint("key"),
    sqlite_autoincrement=True,
)
