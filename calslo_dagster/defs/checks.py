"""Asset checks: those on snapshots are reported from inside the asset, those on SLOs by one step after all of them."""

from collections.abc import Iterable, Sequence
from typing import Final

import dagster as dg

from calslo_dagster.defs.jobs import JUDGED, WRITERS
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.pipeline.inspect_snapshots import Finding
from calslo_dagster.pipeline.read_standing import Standing, read_standing
from calslo_dagster.slo.model import SLO

Project = dg.ResourceParam[LazyProject]
SNAPSHOTS: Final = "calibration_snapshots"
# Name to what it says; only the first is blocking, because measurements without any readable input would lie.
_SNAPSHOT_CHECKS: Final = {
    "schema": "Every file or table could be read with the columns and types that the settings name.",
    "score_range": "Scores are numbers in [0, 1].",
    "freshness": "The newest event is as recent as events are allowed to be late.",
    "volume": "The newest complete hours of each log hold 0.6 to 1.7 times the rows of the same hours on other days.",
    "label_lag": "Of the newest events that should have their labels by now, at least 0.6 times the usual share has.",
    "coverage": "Every finished hour holds events.",
}
SNAPSHOT_CHECKS: Final = [
    dg.AssetCheckSpec(name, asset=SNAPSHOTS, description=says, blocking=name == "schema")
    for name, says in _SNAPSHOT_CHECKS.items()
]


def of_snapshots(found: Iterable[Finding]) -> list[dg.AssetCheckResult]:
    """Return the result of every check on snapshots."""
    return [_result(finding) for finding in found]


def _result(finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=finding.name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.ERROR if finding.is_severe else dg.AssetCheckSeverity.WARN,
        description=finding.says,
        metadata=dict(finding.numbers),
    )


def objective_checks(slos: Sequence[SLO]) -> list[dg.AssetCheckSpec]:
    """Return the checks on the measurements of every SLO; they are judged after the breaches have been folded."""
    says = ("No slice is breached, and something is known: {}.", "It could be computed in every slice: {}.")
    return [
        dg.AssetCheckSpec(
            name,
            asset=dg.AssetKey(["slo", slo.name]),
            additional_deps=["breaches"],
            description=text.format(slo.title),
        )
        for slo in slos
        for name, text in zip(JUDGED, says, strict=True)
    ]


def objectives(slos: Sequence[SLO]) -> dg.AssetChecksDefinition:
    """Return the one step that judges every SLO by all that is stored: a run may have had nothing to measure."""

    @dg.multi_asset_check(
        name="objectives",
        specs=objective_checks(slos),
        can_subset=True,
        pool=WRITERS,
        description="Whether each promise is kept now, and whether each could be computed.",
    )
    def objectives(context: dg.AssetCheckExecutionContext, project: Project) -> Iterable[dg.AssetCheckResult]:
        chosen = sorted(context.selected_asset_check_keys)
        names = {key.asset_key.path[-1] for key in chosen}
        opened, now = project.open(), project.now()
        standings = {slo.name: read_standing(opened, slo, now=now) for slo in slos if slo.name in names}
        yield from (of_standing(key, standings[key.asset_key.path[-1]]) for key in chosen)

    return objectives


def of_standing(key: dg.AssetCheckKey, standing: Standing) -> dg.AssetCheckResult:
    """Return the result of one of the two checks; a breach is worse than not knowing."""
    if key.name == JUDGED[0]:
        passed, says = standing.is_met, standing.says
    else:
        passed, says = not standing.errors, "; ".join(standing.errors[:3]) or "computed without an error"
    return dg.AssetCheckResult(
        asset_key=key.asset_key,
        check_name=key.name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR if standing.breached else dg.AssetCheckSeverity.WARN,
        description=says,
        metadata={"breached": len(standing.breached), "judged": standing.judged, "unknown": standing.unknown},
    )
