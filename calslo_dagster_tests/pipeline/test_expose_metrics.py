"""One answer for one scrape comes from the store, and a store that cannot be read is an answer, too."""

from pathlib import Path

from calslo_dagster.exports.counters import Counters
from calslo_dagster.pipeline.expose_metrics import expose_metrics
from calslo_dagster.pipeline.project import Project
from calslo_dagster_tests.logs import HOUR, START
from calslo_dagster_tests.pipeline.courses import SLO, hours

NOW = START + 5 * HOUR


def test_the_answer_has_the_newest_measurement_and_what_was_judged_since_the_last(project: Project) -> None:
    counters = Counters()
    hours(project, "mmm")
    expose_metrics(project, now=NOW, counters=counters)
    hours(project, "mmmbb")

    text = expose_metrics(project, now=NOW, counters=counters)[0].decode()

    assert f'calslo_sli_value{{model="intent",slice="*",slo="{SLO}"}} 0.5' in text
    assert f'calslo_evaluations_total{{outcome="bad",slo="{SLO}"}} 2.0' in text
    assert "calslo_collect_duration_seconds" in text


def test_a_store_that_is_gone_is_down(project: Project) -> None:
    database = Path(project.settings.store_url.removeprefix("sqlite:///"))
    project.store.close()
    for part in database.parent.glob(f"{database.name}*"):
        part.unlink()

    text = expose_metrics(project, now=NOW)[0].decode()

    assert "calslo_store_up 0.0" in text
    assert "calslo_status" not in text
