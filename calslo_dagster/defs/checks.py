"""Asset checks: reported from inside the asset, so that a check costs no step of its own."""

from typing import Any, Final

import dagster as dg

from calslo_dagster.pipeline.aggregate_snapshots import SnapshotReport
from calslo_dagster.pipeline.inspect_snapshots import Finding, findings
from calslo_dagster.pipeline.take_measurements import MeasurementReport
from calslo_dagster.slo.model import SLO, Verdict

SNAPSHOTS: Final = "calibration_snapshots"
# Name to what it says; only the first is blocking, because measurements without any readable input would lie.
_SNAPSHOT_CHECKS: Final = {
    "schema": "Every file or table could be read with the columns and types that the settings name.",
    "score_range": "Scores are numbers in [0, 1].",
    "freshness": "The newest event is as recent as events are allowed to be late.",
    "volume": "A finished day holds between half and twice the events of the median of the week before.",
    "label_lag": "Labels arrive for at least half the share of events that had one in the week before.",
    "coverage": "Every finished hour holds events.",
}
SNAPSHOT_CHECKS: Final = [
    dg.AssetCheckSpec(name, asset=SNAPSHOTS, description=says, blocking=name == "schema")
    for name, says in _SNAPSHOT_CHECKS.items()
]


def of_snapshots(report: SnapshotReport) -> list[dg.AssetCheckResult]:
    """Return the result of every check on snapshots."""
    return [_result(finding) for finding in findings(report)]


def _result(finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=finding.name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if finding.is_severe else dg.AssetCheckSeverity.WARN,
        description=finding.says,
        metadata=dict(finding.numbers),
    )


def measurement_checks(slo: SLO) -> list[dg.AssetCheckSpec]:
    """Return the checks on the measurements of an SLO."""
    key = dg.AssetKey(["slo", slo.name])
    return [
        dg.AssetCheckSpec("objective", asset=key, description=f"No slice breaches it in the last window: {slo.title}."),
        dg.AssetCheckSpec("no_errors", asset=key, description="The indicator computed without an error everywhere."),
    ]


def of_measurements(report: MeasurementReport) -> list[dg.AssetCheckResult]:
    """Return whether the last window met the objective everywhere, and whether anything failed to compute."""
    breached = [row.slice for row in report.latest if row.verdict is Verdict.BREACHED]
    broken = sorted({row.reason for row in report.latest if row.verdict is Verdict.ERROR})
    return [
        _warning("objective", not breached, breached=len(breached), slices=", ".join(breached[:10])),
        _warning("no_errors", not broken, errors="; ".join(broken[:3])),
    ]


def _warning(name: str, passed: bool, **metadata: Any) -> dg.AssetCheckResult:  # noqa: FBT001 - it is the result itself
    return dg.AssetCheckResult(check_name=name, passed=passed, severity=dg.AssetCheckSeverity.WARN, metadata=metadata)
