"""Compare both modes on the demo: what evidence would have found of the script, beside what thresholds did."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from calslo_dagster.pipeline.context import Context, context_of
from calslo_dagster.pipeline.feed_demo import demo_script
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.weigh_evidence import evidence_over, is_weighed
from calslo_dagster.slo.breach import BreachState, Outcome, Track, fold
from calslo_dagster.slo.model import SLO, Measurement
from calslo_dagster.slo.trials import AlarmRates, Calibration, Mode, Rate
from calslo_dagster.slo.windows import Window
from calslo_dagster.sources.demo.scoring import BreachRecord, Scorecard, score_breaches
from calslo_dagster.sources.demo.script import Script
from calslo_dagster.store import breaches


@dataclass(frozen=True, slots=True)
class ModesReport:
    """What each mode makes of the script, for the SLOs that the two judge differently; what labels take to be there."""

    slos: tuple[str, ...]
    threshold: Scorecard
    evidence: Scorecard
    maturity: timedelta


def compare_modes(project: Project, *, now: datetime) -> ModesReport | None:
    """Replay the demo's snapshots in evidence mode; None if its SLOs are in that mode already.

    The breaches of thresholds are those that the pipeline found; nothing is stored.
    """
    script = demo_script(project.settings, now)
    slos = [slo for slo in project.registry if slo.mode is Mode.THRESHOLD and _has_detectors(slo)]
    if not slos:
        return None
    names, share = tuple(slo.name for slo in slos), len(slos)
    limits = project.settings.evidence
    alarms = AlarmRates(limits.false_breaches / share, limits.false_warnings / share)
    span = Window(script.spec.start, now)
    weighed = [replace(slo, mode=Mode.EVIDENCE, alarms=alarms) for slo in slos]
    found = [record for slo in weighed for record in _breaches(context_of(project, slo, now=now, run_id=""), span)]
    with project.store.read() as session:
        stored = breaches.between(session, start=script.spec.start, end=now)
    known = [BreachRecord(b.onset, b.slo, b.slice, b.recovered_at) for b in stored if b.slo in names]
    maturity = project.settings.label_maturity
    return ModesReport(names, _scored(script, known, names), _scored(script, found, names), maturity)


def _has_detectors(slo: SLO) -> bool:
    return is_weighed(replace(slo, mode=Mode.EVIDENCE)) and isinstance(slo.trial, (Calibration, Rate))


def _scored(script: Script, records: Iterable[BreachRecord], names: Sequence[str]) -> Scorecard:
    card = score_breaches(script, records)
    return replace(card, findings=tuple(one for one in card.findings if one.slo in names))


def _breaches(context: Context, span: Window) -> list[BreachRecord]:
    """Return the breaches that the SLO's evidence makes over the span."""
    with context.project.engine() as connection:
        rows = sorted(
            evidence_over(context, connection, span, alarmed_only=True), key=lambda r: (r.slice, r.window_end)
        )
    return [one for name, own in groupby(rows, key=lambda r: r.slice) for one in _folded(context, name, list(own))]


def _folded(context: Context, name: str, rows: Sequence[Measurement]) -> list[BreachRecord]:
    track = replace(Track.of(context.slo, name), step=context.step)
    _, episodes = fold(track, BreachState(), [Outcome.of(context.slo, row) for row in rows])
    return [BreachRecord(one.onset, one.slo, one.slice, one.recovery) for one in episodes]
