"""Health: roll the latest measurements up per slice, SLO, model and overall, into a score and a word.

The word is decided first, by what is broken and how widely; the score then lies in the band of its word, so that a
number never looks better than the word beside it. Turning a meeting into a warning or a warning into a breach, or going
further past a limit, never raises the score of a scope.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from calslo_dagster.slo.limits import excess
from calslo_dagster.slo.model import JUDGED, Measurement, Operator, Verdict


class Word(StrEnum):
    """How a scope is doing, best first.

    healthy: all that is measured is met, and at least four fifths are measured. warning: a warning, an error or too
    little measured. critical: a breach. emergency: a breach at three times its limit or beyond, or three or more that
    are at least half of what is measured. unknown: nothing is measured; it is a word of its own because each of the
    other four claims something that nobody has seen.
    """

    HEALTHY = "healthy"
    WARNING = "warning"
    CRITICAL = "critical"
    EMERGENCY = "emergency"
    UNKNOWN = "unknown"


BANDS: Final = {Word.HEALTHY: (90, 100), Word.WARNING: (70, 89), Word.CRITICAL: (40, 69), Word.EMERGENCY: (0, 39)}
LEAST_MEASURED: Final = 0.8
FAR_PAST: Final = 2.0
WIDESPREAD: Final = 3

_RANK: Final = (Verdict.BREACHED, Verdict.ERROR, Verdict.WARNING, Verdict.UNKNOWN, Verdict.EXCLUDED, Verdict.MEETING)


@dataclass(frozen=True, slots=True)
class Finding:
    """A measurement with how far past its limit it is, in limits: 1 is twice an upper limit."""

    row: Measurement
    excess: float = 0.0

    @classmethod
    def of(cls, row: Measurement, operator: Operator) -> "Finding":
        """Return the finding of a measurement of an SLO with this operator."""
        if row.value is None or row.threshold is None:
            return cls(row)
        return cls(row, excess(operator, row.value, row.threshold))


@dataclass(frozen=True, slots=True)
class Health:
    """The health of one scope: `score` 0..100, None when unknown; `reason` is that of the worst measurement."""

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


@dataclass(frozen=True, slots=True)
class HealthReport:
    """The health of everything, and of every slice, SLO and model, the worst first."""

    overall: Health
    slices: tuple[Health, ...]
    slos: tuple[Health, ...]
    models: tuple[Health, ...]


def worst_first(findings: Iterable[Finding]) -> list[Finding]:
    """Return the findings by verdict, breaches first and meeting last, each by how far past the limit they are."""
    return sorted(findings, key=lambda f: (_RANK.index(f.row.verdict), -f.excess, f.row.slo, f.row.slice, f.row.model))


def roll_up(findings: Sequence[Finding]) -> HealthReport:
    """Return the health of the latest measurements, one per SLO, slice and model."""
    return HealthReport(
        overall=health("overall", findings),
        slices=_by(findings, lambda f: f.row.slice),
        slos=_by(findings, lambda f: f.row.slo),
        models=_by(findings, lambda f: f.row.model),
    )


def health(scope: str, findings: Sequence[Finding]) -> Health:
    """Return the health of one scope."""
    counts = {verdict: sum(f.row.verdict is verdict for f in findings) for verdict in Verdict}
    measured = [f for f in findings if f.row.verdict in JUDGED]
    word, why = _word(findings, measured)
    return Health(
        scope=scope,
        word=word,
        score=_score(word, findings),
        reason=why,
        measured=len(measured),
        breached=counts[Verdict.BREACHED],
        warnings=counts[Verdict.WARNING],
        unknown=counts[Verdict.UNKNOWN],
        errors=counts[Verdict.ERROR],
        excluded=counts[Verdict.EXCLUDED],
    )


def _by(findings: Sequence[Finding], key: Callable[[Finding], str]) -> tuple[Health, ...]:
    groups: dict[str, list[Finding]] = {}
    for finding in findings:
        groups.setdefault(key(finding), []).append(finding)
    order = [Word.EMERGENCY, Word.CRITICAL, Word.WARNING, Word.UNKNOWN, Word.HEALTHY]
    found = (health(scope, members) for scope, members in groups.items())
    return tuple(sorted(found, key=lambda h: (order.index(h.word), h.score or 0, h.scope)))


def _word(findings: Sequence[Finding], measured: Sequence[Finding]) -> tuple[Word, str]:
    first = worst_first(findings)[:1]
    reason = first[0].row.reason if first else "Nothing has been measured yet."
    breached = [f for f in measured if f.row.verdict is Verdict.BREACHED]
    if breached:
        is_far = max(f.excess for f in breached) >= FAR_PAST
        is_wide = len(breached) >= WIDESPREAD and 2 * len(breached) >= len(measured)
        return (Word.EMERGENCY if is_far or is_wide else Word.CRITICAL), reason
    counted = sum(f.row.verdict is not Verdict.EXCLUDED for f in findings)
    if not measured:
        return Word.UNKNOWN, reason
    if any(f.row.verdict in (Verdict.WARNING, Verdict.ERROR) for f in findings):
        return Word.WARNING, reason
    if len(measured) < LEAST_MEASURED * counted:
        return Word.WARNING, f"Only {len(measured)} of {counted} are measured. {reason}"
    return Word.HEALTHY, "All that is measured is met."


def _score(word: Word, findings: Sequence[Finding]) -> int | None:
    if word is Word.UNKNOWN:
        return None
    low, high = BANDS[word]
    points = [_points(f) for f in findings if f.row.verdict is not Verdict.EXCLUDED]
    return low + int((high - low) * sum(points) / len(points))


def _points(finding: Finding) -> float:
    match finding.row.verdict:
        case Verdict.MEETING:
            return 1.0
        case Verdict.WARNING:
            return 0.75
        case Verdict.BREACHED:
            return 0.25 / (1.0 + max(0.0, finding.excess))
        case _:
            return 0.5
