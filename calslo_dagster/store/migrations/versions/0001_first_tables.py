"""The first tables: snapshots, measurements, breaches, reports and the outbox."""

import sqlalchemy as sa
from alembic import op

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

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Create the tables."""
    _create_snapshots()
    _create_measurements()
    _create_breaches()
    _create_reports()
    _create_messages()


def _create_snapshots() -> None:
    op.create_table(
        "source_units",
        *key(source=NAME, role=WORD, unit=PATH),
        *required(fingerprint=TEXT, rows=INT, hours=JSON, rejected=JSON, retry=BOOL, seen_at=INSTANT),
        *optional(first_us=INT, last_us=INT, error=TEXT),
    )
    op.create_table(
        "partials",
        *key(source=NAME, kind=WORD, batch=SLICE, span_start_us=INT, span_end_us=INT),
        *required(totals_us=INT, cells_us=INT, inputs_digest=DIGEST, content_digest=DIGEST, path=PATH, rows=JSON),
        *required(run_id=NAME, created_at=INSTANT),
        *optional(first_us=INT, last_us=INT),
    )
    op.create_table("watermarks", *key(source=NAME), *optional(watermark=INSTANT, last_event=INSTANT))
    op.create_table("slices", *key(name=SLICE), *required(view=TEXT, values=JSON))
    op.create_table(
        "manifests",
        *key(model=NAME, slice=SLICE, version=NAME),
        *optional(alpha=FLOAT, bins=INT, c_hat=FLOAT),
        *required(edges=JSON, fit_counts=JSON),
        *optional(mask_id=NAME, fitted_at=INSTANT),
    )


def _create_measurements() -> None:
    op.create_table(
        "measurements",
        *key(slo=NAME, window_end=INSTANT, slice=SLICE),
        *required(model=NAME, window_start=INSTANT),
        *optional(value=FLOAT, threshold=FLOAT, threshold_high=FLOAT, warn_threshold=FLOAT),
        *optional(warn_threshold_high=FLOAT, low=FLOAT, high=FLOAT),
        *required(events=INT, labeled=INT, verdict=WORD, reason=TEXT, is_final=BOOL),
        *optional(watermark=INSTANT),
        *required(definition_hash=DIGEST, code_version=NAME, run_id=NAME),
    )
    op.create_table(
        "evaluations",
        *key(slo=NAME, window_end=INSTANT),
        *required(inputs_digest=DIGEST, evaluated_at=INSTANT),
    )

    op.create_table(
        "slo_days",
        *key(slo=NAME, day=DATE, slice=SLICE, model=NAME),
        *required(meeting=INT, warning=INT, breached=INT, unknown=INT, error=INT, excluded=INT, provisional=INT),
    )
    op.create_table("definitions", *key(hash=DIGEST), *required(slo=NAME, body=JSON, first_seen=INSTANT))
    op.create_table(
        "exclusions",
        numbered(),
        *required(starts_at=INSTANT, ends_at=INSTANT, slos=TEXT, slices=TEXT, models=TEXT),
        *required(reason=TEXT, author=TEXT, created_at=INSTANT),
        sqlite_autoincrement=True,
    )


def _create_breaches() -> None:
    op.create_table(
        "breaches",
        *key(id=DIGEST),
        *required(slo=NAME, slice=SLICE, model=NAME, onset=INSTANT, opened_at=INSTANT, last_bad_at=INSTANT),
        *optional(recovered_at=INSTANT, closed_at=INSTANT),
        *optional(peak_value=FLOAT, peak_excess=FLOAT, peak_at=INSTANT, threshold=FLOAT, threshold_high=FLOAT),
        *required(windows_bad=INT, windows_met=INT, windows_unknown=INT, windows_excluded=INT),
        *required(is_provisional=BOOL, reason=TEXT),
    )
    op.create_index("ix_breaches_slo_slice_onset", "breaches", ["slo", "slice", "onset"])
    op.create_table("breach_states", *key(slo=NAME, slice=SLICE, day=DATE), *required(state=JSON))
    op.create_table("unfolded_days", *key(slo=NAME, day=DATE))


def _create_reports() -> None:
    op.create_table(
        "drift",
        *key(week_end=INSTANT, slice=SLICE, metric=NAME),
        *optional(current=FLOAT, previous=FLOAT, delta=FLOAT, se=FLOAT, low=FLOAT, high=FLOAT),
        *required(events_current=INT, events_previous=INT),
        *optional(limit=FLOAT),
        *required(verdict=WORD, reason=TEXT),
    )
    op.create_table(
        "availability",
        *key(slo=NAME, slice=SLICE, period_days=INT, as_of=INSTANT),
        *required(target=FLOAT, good=INT, bad=INT, unknown=INT, excluded=INT, expected=INT),
        *optional(coverage=FLOAT, low=FLOAT, high=FLOAT, observed=FLOAT, up_share=FLOAT),
        *optional(budget_allowed=INT, budget_used=INT, budget_left=INT),
        *optional(mttr_seconds=FLOAT, mttr_low_seconds=FLOAT, mttr_high_seconds=FLOAT),
        *optional(mttf_seconds=FLOAT, mttf_low_seconds=FLOAT, mttf_high_seconds=FLOAT),
        *optional(mtbf_seconds=FLOAT, mtbf_low_seconds=FLOAT, mtbf_high_seconds=FLOAT),
        *required(mttr_censored=BOOL, mttf_censored=BOOL, mtbf_censored=BOOL, verdict=WORD, burn=JSON),
    )
    op.create_table(
        "health",
        *key(as_of=INSTANT, scope_kind=WORD, scope_name=SLICE),
        *optional(score=INT),
        *required(
            word=WORD, reason=TEXT, measured=INT, breached=INT, warnings=INT, unknown=INT, errors=INT, excluded=INT
        ),
    )


def _create_messages() -> None:
    op.create_table(
        "outbox",
        numbered(),
        *required(key=SLICE, kind=WORD, payload=JSON, created_at=INSTANT),
        *optional(sent_at=INSTANT, channel=NAME),
        *required(attempts=INT),
        *optional(last_error=TEXT),
        sa.UniqueConstraint("key"),
        sqlite_autoincrement=True,
    )
