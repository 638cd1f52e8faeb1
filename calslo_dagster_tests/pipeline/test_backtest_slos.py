"""A backtest pages as the alerts of those days did, and counts burning budgets as availability does."""

from datetime import timedelta
from pathlib import Path

from calslo_dagster.pipeline.advance_alerts import follow
from calslo_dagster.pipeline.backtest_slos import Wanted, backtest_slos
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.model import Cadence
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import incidents
from calslo_dagster_tests.logs import LATER, SETTINGS, START, aggregate, days_from, measure, traffic, write
from calslo_dagster_tests.pipeline.conftest import OpenProject

DAYS = days_from(START, 2)
WANTED = Wanted(DAYS[0], DAYS[-1])
SLOS = """\
  disable: [merged_bins, clamp_alpha, weekly_drift]
alerting:
  policies: {default: [{wait: 30m, notify: [log]}]}
"""


def test_pages_are_those_of_the_alerts_that_were(tmp_path: Path, open_at: OpenProject) -> None:
    """The history is played through the store as it is after a backfill; of the past only breaches are known."""
    write(tmp_path / "log/a.parquet", traffic(hours=40).log)
    project = open_at(tmp_path, SETTINGS + SLOS)
    aggregate(project, DAYS)
    for slo in project.registry:
        if slo.cadence is Cadence.MINUTE:
            measure(project, slo.name, DAYS)
    track_breaches(project)
    for _ in follow(project, now=LATER, since=START - timedelta(hours=1)):
        pass

    pages = backtest_slos(project, project.settings, WANTED, now=LATER).pages_now
    with project.store.read() as session:
        played = [one for one in incidents.recent(session) if one.labels["kind"] == "breach"]
    found = [page for page in pages if page.kind == "breach"]
    assert len(found) > 2
    assert {(one.slo, one.model, one.opened_at, one.severity, one.resolved_at) for one in found} == {
        (one.labels["slo"], one.labels["model"], one.opened_at, one.peak_severity, one.resolved_at) for one in played
    }
    assert all(page.told_at is None or page.told_at - page.opened_at >= timedelta(minutes=30) for page in found)


def test_a_budget_that_burns_raises_an_alert(tmp_path: Path, open_at: OpenProject) -> None:
    quarters = SETTINGS.replace("evaluation_step: 1h", "evaluation_step: 15m").replace("window: 1h}", "window: 15m}")
    write(tmp_path / "log/a.parquet", traffic(hours=24, per_hour=200).log)
    project = open_at(tmp_path, quarters + "alerting: {mutes: []}\n")
    aggregate(project, DAYS[:1])
    wanted = Wanted(DAYS[0], DAYS[0], slos=("p99_latency",), slices=("intent=buy,language=en",))
    (tmp_path / "new.yaml").write_text(quarters + "alerting: {mutes: []}\nburn: {tiers: []}\n", encoding="utf-8")

    found = backtest_slos(project, load_settings(tmp_path / "new.yaml", {}), wanted, now=LATER)

    assert {page.kind for page in found.pages_now} == {"breach", "burn"}
    assert {page.kind for page in found.pages_new} == {"breach"}
    (first, *_) = [page for page in found.pages_now if page.kind == "burn"]
    assert START + DAY * 20 / 24 < first.opened_at < START + DAY * 23 / 24
    assert first.is_told
