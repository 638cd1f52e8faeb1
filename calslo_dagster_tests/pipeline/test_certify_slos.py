"""SLOs are certified on the traffic that the store holds, group by group, or on stated shapes."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from calslo_dagster.pipeline.certify_slos import ASSUMED, Request, assumed_traffic, certified, fleets, trials
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.survey_traffic import survey_traffic
from calslo_dagster.slo.certificate import Standing
from calslo_dagster.slo.traffic import assumed
from calslo_dagster.slo.windows import DAY, STEP
from calslo_dagster_tests.logs import START, aggregate, days_from, traffic, write

REQUEST = Request(0.05, 1, STEP)
NOW = START + 4 * DAY


@pytest.fixture
def seen(project: Project, tmp_path: Path) -> Project:
    """Return a project with three days of traffic and an hour."""
    write(tmp_path / "log/a.parquet", traffic(hours=73).log)
    aggregate(project, days_from(START, 4), now=NOW)
    return project


def test_the_traffic_of_each_slice_is_that_of_its_days(seen: Project) -> None:
    found = {one.name: one for one in survey_traffic(seen)}

    whole = found["*"]
    assert set(found) >= {"*", "intent=buy,language=de"}
    assert not any(one.is_assumed for one in found.values())
    assert whole.events.shape == (96,)
    # Forty events an hour, some of them repeated or with a bad score.
    assert float(whole.events.sum()) == pytest.approx(960, rel=0.05)
    assert 0.3 < whole.per_day / float(whole.events.sum()) < 0.5
    assert float(whole.cells.share.sum()) == pytest.approx(1.0)
    assert 0.0 < whole.clamped.rate < 0.5
    assert float(whole.latency.sum()) == pytest.approx(1.0)


def test_an_slo_is_certified_on_the_middle_slice_of_each_group(seen: Project) -> None:
    slo = replace(seen.registry.find("clamp_activation"), min_events=20)
    surveyed = survey_traffic(seen)

    planned = trials([slo], surveyed, REQUEST, slices=2)
    certificates = [certified(one, REQUEST) for one in planned]
    (fleet,) = fleets([slo], certificates)

    assert [one.stage.slices for one in planned] == [len(surveyed)] * 2
    assert sum(one.stands_for for one in planned) == fleet.slices == len(surveyed)
    assert planned[0].stage.traffic.events.sum() > planned[1].stage.traffic.events.sum()
    assert fleet.rate == pytest.approx(sum(one.rate * one.slices for one in certificates))
    assert fleet.standing in Standing


def test_only_slices_that_the_slo_is_promised_for_are_certified(seen: Project) -> None:
    slo = replace(seen.registry.find("ece_bound"), slices="intent=buy*")

    planned = trials([slo], survey_traffic(seen), REQUEST, slices=None)

    assert planned
    assert all(one.stage.traffic.name.startswith("intent=buy") for one in planned)


def test_without_snapshots_there_is_no_traffic(project: Project) -> None:
    assert survey_traffic(project) == []


def test_shapes_stand_for_themselves() -> None:
    shapes = assumed_traffic(1_000.0)

    assert len(shapes) == len(ASSUMED)
    assert len(trials([], shapes, REQUEST, slices=None)) == 0
    assert all(one.is_assumed and np.array_equal(one.labeled, one.events) for one in shapes)


def test_slices_are_grouped_by_volume(project: Project) -> None:
    slices = [
        replace(assumed("churn", rate), name=f"n={rate}", is_assumed=False) for rate in (1, 2, 3, 40, 50, 60, 700)
    ]
    slo = project.registry.find("ece_bound")

    planned = trials([slo], slices, Request(1, 1, timedelta(hours=1)), slices=3)

    assert [(one.stage.traffic.name, one.stands_for) for one in planned] == [("n=60", 2), ("n=40", 2), ("n=2", 3)]
    assert planned[0].stage.step == timedelta(hours=1)
