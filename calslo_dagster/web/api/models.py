"""What goes over the wire: numbers in the unit that is named beside them, times in UTC, null where nothing is known."""

from datetime import datetime
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field

from calslo_dagster.alerting.model import IncidentState
from calslo_dagster.reporting.board import Board, Card
from calslo_dagster.reporting.states import BurnWord, State
from calslo_dagster.slo.health import Word
from calslo_dagster.slo.model import SLO, Bound, Cadence, Measurement, Operator, Severity, Verdict
from calslo_dagster.slo.trials import Mode
from calslo_dagster.slo.windows import spoken

EXAMPLE_AT: Final = "2026-03-01T12:00:00Z"
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
    window_start: datetime = Field(examples=[EXAMPLE_AT])
    window_end: datetime = Field(examples=[EXAMPLE_AT])
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
