"""Small boards, made by the same functions as real ones."""

from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from calslo_dagster.reporting.board import ActiveAlert, Board, Card, Spend, board_of, card_of
from calslo_dagster.reporting.states import Facts
from calslo_dagster.slo.model import SLO, Measurement, Objective, Severity, Verdict
from calslo_dagster_tests.logs import HOUR, START
from calslo_dagster_tests.pipeline.courses import measured
from calslo_dagster_tests.slo.samples import an_slo

NOW: Final = START + HOUR
ECE: Final = an_slo(name="ece", title="Calibration error", objective=Objective(at_most=0.04))
BUDGET: Final = Spend(allowed=10, used=4, left=6, period_days=28, left_ratio=0.6, coverage=0.95)


def a_row(verdict: Verdict = Verdict.MEETING, **changes: Any) -> Measurement:
    """Return a measurement of the hour before now."""
    fields: dict[str, Any] = {"value": 0.02, "low": 0.01, "high": 0.03, "threshold": 0.04, "slo": "ece", "run_id": "r1"}
    return replace(measured(NOW, verdict), **{**fields, "labeled": 80, **changes})


def a_card(
    verdict: Verdict = Verdict.MEETING, *, slo: SLO = ECE, facts: dict[str, Any] | None = None, **changes: Any
) -> Card:
    """Return the card of such a measurement, with a budget."""
    row = a_row(verdict, **{"slo": slo.name, **changes})
    return card_of(Facts(slo, newest=row, evaluated_at=NOW, **(facts or {})), now=NOW, spend=BUDGET)


def a_board(*cards: Card, **parts: Any) -> Board:
    """Return the board of these cards, evaluated now."""
    return board_of(cards, now=NOW, **{"evaluations": {card.slo: NOW for card in cards}, **parts})


def an_alert(since: datetime = NOW, **changes: Any) -> ActiveAlert:
    """Return an incident that fires."""
    fields: dict[str, Any] = {"id": "i1", "kind": "breach", "slo": "ece", "title": ECE.title, "model": "intent"}
    told = {"severity": Severity.CRITICAL, "state": "firing", "since": since, "members": 1, "slices": ("*",)}
    return ActiveAlert(**{**fields, **told, **changes})
