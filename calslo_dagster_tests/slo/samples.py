"""Small SLOs, measurements and verdict series that the tests of promises share."""

from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from calslo_dagster.slo.breach import Outcome, Track
from calslo_dagster.slo.model import SLO, Evidence, Measurement, Objective, Verdict
from calslo_dagster.slo.windows import STEP
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.snapshot import Snapshot

START: Final = datetime(2026, 3, 2, tzinfo=UTC)
NOTHING: Final = Evidence(Snapshot())
_LETTERS: Final = {
    "b": Verdict.BREACHED,
    "m": Verdict.MEETING,
    "w": Verdict.WARNING,
    "u": Verdict.UNKNOWN,
    "e": Verdict.ERROR,
    "x": Verdict.EXCLUDED,
}


def _constant(_: Evidence, estimate: Estimate) -> Estimate:
    return estimate


def an_slo(estimate: Estimate | None = None, **fields: Any) -> SLO:
    """Return an SLO whose indicator always gives this estimate."""
    sli = partial(_constant, estimate=estimate or Estimate(0.5, events=100))
    defaults: dict[str, Any] = {"name": "sample", "title": "The sample", "objective": Objective(at_most=1.0)}
    return SLO(sli=sli, **{**defaults, **fields})


def verdicts(letters: str) -> list[Verdict]:
    """Return the verdicts of these letters: breached, meeting, warning, unknown, error, x for excluded."""
    return [_LETTERS[letter] for letter in letters.lower()]


def outcomes(letters: str, first: int = 0) -> list[Outcome]:
    """Return one outcome per letter, a step apart from the step `first` on; capitals are provisional."""
    return [
        Outcome(
            START + (first + i + 1) * STEP,
            verdict,
            value=float(first + i),
            excess=float(first + i),
            is_final=letter.islower(),
        )
        for i, (letter, verdict) in enumerate(zip(letters, verdicts(letters), strict=True))
    ]


def a_track(open_after: int = 1, close_after: int = 2) -> Track:
    """Return a track of quarter hours."""
    return Track("sample", "*", "", STEP, open_after=open_after, close_after=close_after)


def a_measurement(verdict: Verdict, **fields: Any) -> Measurement:
    """Return a measurement of the last quarter hour with this verdict."""
    defaults: dict[str, Any] = {
        "slo": "sample",
        "slice": "*",
        "model": "",
        "window_start": START,
        "window_end": START + STEP,
        "value": 0.5,
        "threshold": 1.0,
        "warn_threshold": None,
        "low": None,
        "high": None,
        "events": 100,
        "labeled": 100,
        "reason": "Because.",
    }
    return Measurement(verdict=verdict, **{**defaults, **fields})


def ends(count: int) -> list[datetime]:
    """Return the first window ends after the start of the samples."""
    return [START + (i + 1) * STEP for i in range(count)]


def joined(parts: Iterable[Iterable[Outcome]]) -> list[Outcome]:
    """Return the outcomes of the parts in one list."""
    return [row for part in parts for row in part]
