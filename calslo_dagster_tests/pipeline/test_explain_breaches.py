"""Breaches are explained from the snapshots, once until they change, and found by name."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from calslo_dagster.errors import CalsloError
from calslo_dagster.pipeline.explain_breaches import breach_named, explain_breach, explain_breaches, first_causes
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.track_breaches import track_breaches
from calslo_dagster.slo.causes import CauseKind
from calslo_dagster.slo.windows import DAY
from calslo_dagster.store import breach_causes, breaches, schema
from calslo_dagster.store.breaches import Breach
from calslo_dagster.store.digest import table_digest
from calslo_dagster_tests.logs import (
    HOUR,
    LATER,
    SETTINGS,
    START,
    aggregate,
    days_from,
    events,
    measure,
    minutes,
    project_at,
    write,
)
from calslo_dagster_tests.pipeline.conftest import OpenProject

DAYS = 4
# Labels count once they are thirty hours old.
EVIDENCE = SETTINGS.replace("slos:\n", "label_maturity: 30h\nslos:\n  mode: evidence\n", 1)
TROUBLE = START + 3 * DAY + 10 * HOUR


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    """Yield a project in which `search` in German gets bad scores for two hours of the fourth day."""
    folder = tmp_path_factory.mktemp("project")
    times = list(minutes(START, START + DAYS * DAY, timedelta(minutes=3)))
    languages = [("en", "de")[i % 4 == 0] for i in range(len(times))]
    hit = [TROUBLE <= at < TROUBLE + 2 * HOUR and word == "de" for at, word in zip(times, languages, strict=True)]
    scores = [1.5 if bad else 0.5 for bad in hit]
    log = events(times, intent="search", language=languages, score=scores, calibrator_version="v1")
    write(folder / "log/a.parquet", log)
    opened = project_at(folder)
    with opened.store:
        aggregate(opened, days_from(START, DAYS))
        measure(opened, "score_range", days_from(START, DAYS))
        track_breaches(opened)
        yield opened


def found(project: Project) -> dict[str, Breach]:
    with project.store.read() as session:
        return {one.slice: one for one in breaches.between(session, start=START, end=LATER, slo="score_range")}


def test_what_has_not_changed_is_not_explained_again(project: Project) -> None:
    waiting = [explain_breaches(project, now=LATER, most=1)]
    waiting += [explain_breaches(project, now=LATER + n * HOUR, most=1) for n in (1, 2, 3)]
    with project.store.read() as session:
        before = table_digest(session, schema.breach_causes)
    explain_breaches(project, now=LATER + DAY)

    with project.store.read() as session:
        assert table_digest(session, schema.breach_causes) == before
        assert len(breach_causes.bases(session, [one.id for one in found(project).values()])) == 2
    assert waiting == [1, 0, 0, 0]


def test_the_slice_that_carries_it_is_named_for_all_traffic_and_the_trouble_for_the_slice(project: Project) -> None:
    explain_breaches(project, now=LATER)

    causes = first_causes(project, found(project).values())

    whole, part = (causes[found(project)[name].id] for name in ("*", "intent=search,language=de"))
    assert whole.kind is CauseKind.SEGMENT
    assert "language=de has 25 % of the rows and explains 100 % of the excess" in whole.evidence
    assert part.kind is CauseKind.BAD_SCORES
    assert part.evidence.startswith("100 % of the scores are no probabilities (5 above), 0 % usually")


def test_a_breach_is_named_by_its_id_or_by_its_slo(project: Project) -> None:
    (whole, part) = (found(project)[name] for name in ("*", "intent=search,language=de"))

    assert breach_named(project, part.id[:8], None) == part
    assert breach_named(project, "score_range", "*") == whole
    assert breach_named(project, "score_range", None) in (whole, part)
    assert explain_breach(project, part, now=LATER).causes[0].kind is CauseKind.BAD_SCORES
    for name, slice_name, told in (
        ("nothing", None, "is no SLO and no breach has such an id"),
        ("p99_latency", "*", "p99_latency of \\* was never breached"),
    ):
        with pytest.raises(CalsloError, match=told):
            breach_named(project, name, slice_name)


def test_evidence_is_explained_by_the_events_that_it_rests_on(open_at: OpenProject, tmp_path: Path) -> None:
    """The alarm comes thirty hours after the events that it is about, among which a calibrator came; all is well again.

    The calibrator that came in between and serves well has nothing to do with it.
    """
    times = list(minutes(START, START + 5 * DAY, timedelta(minutes=3)))
    bad = [TROUBLE <= at < TROUBLE + DAY for at in times]
    versions = ["v2" if is_bad else "v1" if at < TROUBLE else "v3" for at, is_bad in zip(times, bad, strict=True)]
    labels = [1 if is_bad else place % 2 for place, is_bad in enumerate(bad)]
    write(tmp_path / "log/a.parquet", events(times, intent="search", label=labels, calibrator_version=versions))
    project = open_at(tmp_path, EVIDENCE)
    days = days_from(START, 6)
    aggregate(project, days)
    measure(project, "ece_bound", days)
    track_breaches(project)

    one = breach_named(project, "ece_bound", "*")
    causes = {cause.kind: cause.evidence for cause in explain_breach(project, one, now=LATER).causes}

    assert one.onset > TROUBLE + 30 * HOUR
    assert causes[CauseKind.VERSION].startswith("Calibrator v2 took over 100 % of the traffic 1 h before it began")
    assert "went from +0 to +0.5" in causes[CauseKind.OUTCOME]
    assert "v3" not in "".join(causes.values())
