"""What goes over the wire: numbers in the unit that is named beside them, times in UTC, null where nothing is known."""

from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from calslo_dagster.alerting.model import Incident, IncidentState
from calslo_dagster.pipeline.silence_alerts import Listed, Stage
from calslo_dagster.pipeline.tabulate_calibration import CalibrationTable
from calslo_dagster.reporting.board import Board, Card
from calslo_dagster.reporting.states import BurnWord, State
from calslo_dagster.slo.health import Word
from calslo_dagster.slo.model import SLO, Bound, Cadence, Measurement, Operator, Severity, Verdict
from calslo_dagster.slo.trials import Mode
from calslo_dagster.slo.windows import spoken
from calslo_dagster.store.availability import AvailabilityRow
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.drift import DriftRow
from calslo_dagster.store.exclusions import StoredExclusion

_EXAMPLE_AT: Final = "2026-03-01T12:00:00Z"
Words = Annotated[str, Field(max_length=500)]
Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class Out(BaseModel):
    """What we say."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """What we are told: a key that we do not know is a mistake."""

    model_config = ConfigDict(extra="forbid")


class SloOut(Out):
    """A promise, as it is defined now."""

    name: str = Field(examples=["ece_bound"])
    title: str = Field(examples=["Calibration error"])
    description: str
    operator: Operator
    fail: Bound | None = Field(examples=[0.015])
    warn: Bound | None
    unit: str = Field(examples=["ratio"])
    target: float = Field(examples=[0.99])
    window: str = Field(examples=["24 hours"])
    cadence: Cadence
    min_events: int
    severity: Severity
    mode: Mode
    owner: str
    runbook: str
    needs: list[str]
    definition_hash: str

    @classmethod
    def of(cls, slo: SLO, definition_hash: str) -> Self:
        """Return the promise; limits that are computed for each window are null."""
        goal = slo.objective
        told = {name: getattr(slo, name) for name in cls.model_fields if hasattr(slo, name)}
        limits = {"operator": goal.operator, "fail": goal.limit, "warn": getattr(goal, "warn", None)}
        spans = {"window": spoken(slo.window), "needs": sorted(slo.needs)}
        return cls(**{**told, **limits, **spans, "definition_hash": definition_hash})


class BudgetOut(Out):
    """What is left of the bad windows that a period allows; `left` goes below zero."""

    allowed: int
    used: int
    left: int
    period_days: int
    left_ratio: float | None
    coverage: float | None
    observed: float | None
    is_fast: bool


class CardOut(Out):
    """How one SLO stands on one slice, with why and what to do next."""

    slo: str = Field(examples=["ece_bound"])
    title: str
    slice: str = Field(examples=["intent=shop,language=de"])
    model: str
    state: State = Field(examples=["breached"])
    reason: str
    next_step: str
    since: datetime | None
    objective: str
    operator: Operator
    unit: str
    target: float
    severity: Severity
    owner: str
    value: float | None = Field(examples=[0.0213])
    low: float | None
    high: float | None
    threshold: Bound | None = Field(examples=[0.015])
    warn_threshold: Bound | None
    excess: float
    events: int
    labeled: int
    labeled_share: float | None
    verdict: Verdict | None
    is_final: bool
    window_start: datetime | None
    window_end: datetime | None
    evaluated_at: datetime | None
    age_seconds: float | None
    budget: BudgetOut | None
    burn: BurnWord
    breach_id: str | None
    incident_id: str | None
    run_id: str
    definition_hash: str
    mode: Mode
    debiased: float | None
    detectable: float | None
    needed: int | None

    @classmethod
    def of(cls, card: Card) -> Self:
        """Return the card."""
        return cls.model_validate(card)


class HealthOut(Out):
    """A roll-up of cards: a score of 0 to 100 and a word."""

    scope: str
    word: Word
    score: int | None
    reason: str
    measured: int
    breached: int
    warnings: int
    unknown: int
    errors: int
    excluded: int


class ActiveOut(Out):
    """An incident that goes on."""

    id: str
    kind: str
    slo: str
    title: str
    model: str
    severity: Severity
    state: IncidentState
    since: datetime
    members: int
    slices: list[str]
    acked_by: str | None
    acked_at: datetime | None
    suppressed_by: str | None
    reason: str


class BoardOut(Out):
    """Everything at a glance: the cards that were asked for, worst first, and counts of all that their names take."""

    version: str
    as_of: datetime
    evaluated_at: datetime | None
    health: HealthOut
    counts: dict[State, int]
    alerts: list[ActiveOut]
    cards: list[CardOut]
    next_cursor: str | None = None

    @classmethod
    def of(cls, board: Board, cards: list[CardOut], next_cursor: str | None) -> Self:
        """Return the board with these of its cards."""
        return cls(
            version=board.version,
            as_of=board.now,
            evaluated_at=board.evaluated_at,
            health=HealthOut.model_validate(board.health),
            counts=dict(board.counts),
            alerts=[ActiveOut.model_validate(one) for one in board.alerts],
            cards=cards,
            next_cursor=next_cursor,
        )


class MeasurementOut(Out):
    """One window of one SLO on one slice, judged."""

    slo: str
    slice: str
    model: str
    window_start: datetime = Field(examples=[_EXAMPLE_AT])
    window_end: datetime = Field(examples=[_EXAMPLE_AT])
    value: float | None
    low: float | None
    high: float | None
    threshold: Bound | None
    warn_threshold: Bound | None
    events: int
    labeled: int
    verdict: Verdict
    reason: str
    is_final: bool
    watermark: datetime | None
    mode: Mode
    debiased: float | None
    bins: int | None
    detectable: float | None
    needed: int | None
    definition_hash: str
    code_version: str
    run_id: str

    @classmethod
    def of(cls, row: Measurement) -> Self:
        """Return the measurement."""
        return cls.model_validate(row)


class BreachOut(Out):
    """An episode in which an SLO was not met; `recovered_at` is null while it goes on."""

    id: str
    slo: str
    slice: str
    model: str
    onset: datetime
    opened_at: datetime
    last_bad_at: datetime
    recovered_at: datetime | None
    closed_at: datetime | None
    peak_value: float | None
    peak_excess: float
    peak_at: datetime | None
    threshold: Bound | None
    windows_bad: int
    windows_met: int
    windows_unknown: int
    windows_excluded: int
    is_provisional: bool
    is_open: bool
    reason: str

    @classmethod
    def of(cls, row: Breach) -> Self:
        """Return the breach."""
        return cls.model_validate(row)


class AvailabilityOut(Out):
    """How well a target was kept over a period; mean times in seconds, null where no end was seen."""

    slo: str
    slice: str
    period_days: int
    as_of: datetime
    target: float
    good: int
    bad: int
    unknown: int
    excluded: int
    coverage: float | None
    observed: float | None
    low: float | None
    high: float | None
    budget_allowed: int
    budget_used: int
    budget_left: int
    mttr_seconds: float | None
    mttf_seconds: float | None
    mtbf_seconds: float | None

    @classmethod
    def of(cls, row: AvailabilityRow) -> Self:
        """Return the availability."""
        tally, budget = row.tally, row.budget
        counted = {name: getattr(tally, name) for name in ("good", "bad", "unknown", "excluded")}
        shares = {name: getattr(tally, name) for name in ("coverage", "observed", "low", "high")}
        means = {name: getattr(row.reliability, name).value for name in ("mttr", "mttf", "mtbf")}
        return cls(
            slo=row.slo,
            slice=row.slice,
            period_days=row.period_days,
            as_of=row.as_of,
            target=row.target,
            **counted,
            **shares,
            budget_allowed=budget.allowed,
            budget_used=budget.used,
            budget_left=budget.left,
            **{f"{name}_seconds": mean and mean.total_seconds() for name, mean in means.items()},
        )


class DriftOut(Out):
    """How one metric of one slice changed against the week before."""

    week_end: datetime
    slice: str
    metric: str
    current: float | None
    previous: float | None
    delta: float | None
    low: float | None
    high: float | None
    events_current: int
    events_previous: int
    limit: float | None
    verdict: Verdict
    reason: str
    p_value: float | None
    q_value: float | None
    events_needed: int | None

    @classmethod
    def of(cls, row: DriftRow) -> Self:
        """Return the drift."""
        return cls.model_validate(row)


class IncidentOut(Out):
    """An alert: the unit that pages."""

    id: str = Field(examples=["75b6e6d35f92f655"])
    episode: int
    labels: dict[str, str]
    state: IncidentState
    severity: Severity
    peak_severity: Severity
    opened_at: datetime
    members: int
    flaps: int
    acked_by: str | None
    acked_at: datetime | None
    ack_expires_at: datetime | None
    resolved_at: datetime | None
    resolved_by: str | None
    suppressed_by: str | None
    reason: str

    @classmethod
    def of(cls, one: Incident) -> Self:
        """Return the alert."""
        return cls.model_validate(one)


class SilenceOut(Out):
    """An agreement that some alerts are not told for a while; start and end: of the span that holds or comes next."""

    id: str
    matchers: list[str] = Field(examples=[['slo="ece_bound"']])
    stage: Stage
    start: datetime | None
    end: datetime | None
    reason: str
    author: str
    ticket: str
    covers_emergency: bool
    created_at: datetime
    held_back: list[str]

    @classmethod
    def of(cls, one: Listed) -> Self:
        """Return the silence."""
        silence = one.silence
        return cls(
            id=silence.id,
            matchers=[str(matcher) for matcher in silence.matchers],
            stage=one.stage,
            start=one.span.start if one.span else None,
            end=one.span.end if one.span else None,
            reason=silence.reason,
            author=silence.author,
            ticket=silence.ticket,
            covers_emergency=silence.covers_emergency,
            created_at=silence.created_at,
            held_back=[held.incident_id for held in one.held],
        )


class ExclusionOut(Out):
    """Agreed maintenance that no verdict may rest on; names may be shell patterns."""

    id: int
    start: datetime
    end: datetime
    slos: str
    slices: str
    models: str
    reason: str
    approved_by: str
    created_at: datetime

    @classmethod
    def of(cls, one: StoredExclusion) -> Self:
        """Return the exclusion."""
        found = one.exclusion
        names = {name: getattr(found, name) for name in ("slos", "slices", "models", "reason", "approved_by")}
        return cls(id=one.id, start=found.span.start, end=found.span.end, created_at=one.created_at, **names)


class TableOut(Out):
    """The calibration of one slice, bin by bin, with what does not fit the mask that it was fitted with."""

    slice: str
    bins: list[dict[str, Any]]
    supports: dict[str, list[dict[str, Any]]]
    mismatch: dict[str, int]
    unsupported: int
    inconsistent: int
    p_value: float | None

    @classmethod
    def of(cls, table: CalibrationTable) -> Self:
        """Return the table."""
        return cls(
            slice=table.slice,
            bins=[asdict(one) for one in table.bins],
            supports={version: [asdict(one) for one in found] for version, found in table.supports.items()},
            mismatch=asdict(table.mismatch),
            unsupported=table.unsupported,
            inconsistent=table.inconsistent,
            p_value=table.p_value,
        )


class Note(In):
    """Words for the record."""

    note: Words = Field(default="", examples=["refit is running"])


class SilenceIn(In):
    """What is silenced, why, and until when."""

    matchers: list[Annotated[str, Field(min_length=1, max_length=300)]] = Field(
        min_length=1, max_length=20, examples=[["slo=ece_bound"]]
    )
    reason: Annotated[str, Field(min_length=1, max_length=500)] = Field(examples=["known, fix at 14:00"])
    start: datetime | None = Field(default=None, examples=[None], description="Now unless told.")
    end: datetime = Field(examples=["2026-03-01T14:00:00Z"])
    ticket: Words = ""
    covers_emergency: bool = False
    force: bool = Field(default=False, description="Take values that nobody has seen yet, and any length.")


class ExclusionIn(In):
    """Which maintenance does not count, why, and who approved it."""

    start: datetime = Field(examples=["2026-03-01T02:00:00Z"])
    end: datetime = Field(examples=["2026-03-01T05:00:00Z"])
    reason: Annotated[str, Field(min_length=1, max_length=500)] = Field(examples=["label backfill"])
    slos: Pattern = "*"
    slices: Pattern = "*"
    models: Pattern = "*"


class Done(Out):
    """What was done, in a sentence."""

    done: str = Field(examples=["incident 75b6e6d35f92f655 is acknowledged by ada until 2026-03-01 16:00 UTC"])


class Removed(Out):
    """The number of what is no more."""

    id: int
