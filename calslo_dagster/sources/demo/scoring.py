"""The score card: which scripted incidents the breaches found, how fast, and which breaches nobody scripted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from calslo_dagster.sources.demo.script import Expectation, Incident, Script

_NEVER: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class BreachRecord:
    """What scoring needs of a breach; `recovered_at` is None while it is open."""

    onset: datetime
    slo: str
    slice: str
    recovered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One breach that an incident must cause, and the first breach that can be it, None if there is none.

    delay: from the incident's start to the onset, zero if the onset's bucket began before; recovery: from the
    incident's end to the end of the breach, None while it is open.
    """

    incident: Incident
    slo: str
    slice: str
    breach: BreachRecord | None = None
    delay: timedelta | None = None
    recovery: timedelta | None = None

    @property
    def is_found(self) -> bool:
        """Whether a breach was found."""
        return self.breach is not None


@dataclass(frozen=True, slots=True)
class Scorecard:
    """Findings in the script's order, and the other breaches by what explains them.

    consequences: follow from an incident, or repeat a finding; false: nothing explains them.
    """

    findings: tuple[Finding, ...]
    consequences: tuple[BreachRecord, ...]
    false: tuple[BreachRecord, ...]

    @property
    def found(self) -> tuple[Finding, ...]:
        """The findings with a breach."""
        return tuple(finding for finding in self.findings if finding.is_found)

    @property
    def missed(self) -> tuple[Finding, ...]:
        """The findings without a breach."""
        return tuple(finding for finding in self.findings if not finding.is_found)

    @property
    def is_perfect(self) -> bool:
        """Whether everything was found and nothing is false."""
        return not self.missed and not self.false


def score_breaches(script: Script, breaches: Iterable[BreachRecord]) -> Scorecard:
    """Return how the breaches compare with the script; the order of the breaches does not matter."""
    records = sorted(breaches, key=lambda b: (b.onset, b.slo, b.slice, b.recovered_at or _NEVER))
    findings = tuple(
        _finding(script, incident, wanted, slice_name=slice_name, records=records)
        for incident in script.incidents
        for wanted in incident.must
        for slice_name in wanted.slices
    )
    used = {finding.breach for finding in findings}
    rest = [record for record in records if record not in used]
    caused = tuple(record for record in rest if _is_consequence(script, record))
    return Scorecard(findings, caused, tuple(record for record in rest if record not in caused))


def _finding(
    script: Script, incident: Incident, wanted: Expectation, *, slice_name: str, records: Sequence[BreachRecord]
) -> Finding:
    fitting = (
        record
        for record in records
        if (record.slo, record.slice) == (wanted.slo, slice_name) and _is_timely(script, incident, wanted, record)
    )
    breach = next(fitting, None)
    if breach is None:
        return Finding(incident, wanted.slo, slice_name)
    span = script.span(incident)
    recovery = None if breach.recovered_at is None else breach.recovered_at - span.end
    delay = max(timedelta(0), breach.onset - span.start)
    return Finding(incident, wanted.slo, slice_name, breach, delay, recovery)


def _is_consequence(script: Script, record: BreachRecord) -> bool:
    return any(
        expectation.covers(record.slo, record.slice) and _is_timely(script, incident, expectation, record)
        for incident in script.incidents
        for expectation in (*incident.must, *incident.may)
    )


def _is_timely(script: Script, incident: Incident, expectation: Expectation, record: BreachRecord) -> bool:
    span = script.span(incident)
    return span.start - expectation.before <= record.onset <= span.end + expectation.after
