"""What goes over the wire about the past."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Self

from pydantic import Field

from calslo_dagster.pipeline.tabulate_calibration import CalibrationTable
from calslo_dagster.slo.model import Bound, Manifest, Verdict
from calslo_dagster.store.availability import AvailabilityRow
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.drift import DriftRow
from calslo_dagster.web.api.models import Out


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


class ManifestOut(Out):
    """What one version of a calibrator was fitted on; `fit_counts` has the events between each two of `edges`."""

    model: str
    slice: str
    version: str = Field(examples=["2026-03-01"])
    alpha: float | None
    bins: int | None
    c_hat: float | None
    edges: list[float]
    fit_counts: list[float]
    mask_id: str | None
    fitted_at: datetime | None

    @classmethod
    def of(cls, one: Manifest) -> Self:
        """Return the manifest."""
        return cls.model_validate(one)


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
