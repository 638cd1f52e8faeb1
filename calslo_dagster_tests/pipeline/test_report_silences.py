"""The end of a window says what it held back, once, and nothing where it held back nothing."""

import json
from datetime import datetime, timedelta
from typing import Any

from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.silences import Silence
from calslo_dagster.pipeline.advance_alerts import advance_alerts
from calslo_dagster.pipeline.deliver_outbox import deliver_outbox
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.report_silences import report_silences
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import silences
from calslo_dagster.store.session import Lock
from calslo_dagster_tests.logs import HOUR, MINUTE, START
from calslo_dagster_tests.pipeline.courses import hours

NOW = START + DAY


def silence(project: Project, text: str = "slo=score_range", *, covers_emergency: bool = True) -> Silence:
    made = Silence(
        id="",
        matchers=(Matcher.parse(text),),
        starts_at=NOW - HOUR,
        ends_at=NOW + HOUR,
        reason="deploy",
        author="ada",
        created_at=NOW - HOUR,
        covers_emergency=covers_emergency,
    )
    with project.store.write(Lock.ALERTS) as session:
        return silences.add(session, made)


def look(project: Project, at: datetime) -> int:
    advance_alerts(project, now=at)
    reported = report_silences(project, now=at)
    deliver_outbox(project, clock=lambda: at)
    return reported


def lines(project: Project) -> list[dict[str, Any]]:
    file = project.settings.alert_log
    return [json.loads(text) for text in file.read_text().splitlines()] if file.exists() else []


def test_its_end_lists_what_was_held_back(project: Project) -> None:
    hours(project, "mb")
    track_breaches(project)
    held = silence(project)
    look(project, NOW)
    assert lines(project) == []

    assert look(project, NOW + HOUR - MINUTE) == 0
    assert look(project, NOW + HOUR) == 1
    assert look(project, NOW + HOUR + MINUTE) == 0

    report, page = sorted(lines(project), key=lambda line: line["action"])
    assert (report["action"], page["action"]) == ("digest", "trigger")
    assert report["title"] == "The silence has ended and held back 1 incidents"
    assert "emergency score_range of intent (goes on)" in report["text"]
    assert "ada: deploy" in report["text"]
    with project.store.read() as session:
        assert silences.matched(session)[held.id].count == 1


def test_its_end_lists_a_page_that_was_ordered_before_it_began(project: Project) -> None:
    hours(project, "mb")
    track_breaches(project)
    advance_alerts(project, now=NOW)
    silence(project)
    deliver_outbox(project, clock=lambda: NOW)
    report_silences(project, now=NOW)
    assert lines(project) == []

    look(project, NOW + HOUR)
    [report] = [line for line in lines(project) if line["action"] == "digest"]
    assert report["title"] == "The silence has ended and held back 1 incidents"


def test_one_that_held_back_nothing_ends_without_a_word(project: Project) -> None:
    hours(project, "mb")
    track_breaches(project)
    silence(project, covers_emergency=False)
    look(project, NOW)

    assert look(project, NOW + HOUR + timedelta(seconds=1)) == 0
