"""What goes over the wire about alerts, silences and exclusions."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import Field

from calslo_dagster.alerting.model import Incident, IncidentState
from calslo_dagster.pipeline.silence_alerts import Listed, Stage
from calslo_dagster.slo.model import Severity
from calslo_dagster.store.exclusions import StoredExclusion
from calslo_dagster.web.api.models import In, Out, Pattern, Words


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
