"""Compare the breaches of a demo with the script that it played."""

from datetime import datetime

from calslo_dagster.pipeline.feed_demo import demo_script
from calslo_dagster.pipeline.project import Project
from calslo_dagster.sources.demo.scoring import BreachRecord, Scorecard, score_breaches
from calslo_dagster.store import breaches


def evaluate_demo(project: Project, *, now: datetime) -> Scorecard:
    """Return which scripted incidents were found and missed, and which breaches nothing explains."""
    script = demo_script(project.settings, now)
    with project.store.read() as session:
        found = breaches.between(session, start=script.spec.start, end=now)
    return score_breaches(script, [BreachRecord(b.onset, b.slo, b.slice, b.recovered_at) for b in found])
