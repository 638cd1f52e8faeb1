"""An SLO that evidence mode cannot follow is named, with the way out."""

from datetime import timedelta
from typing import Any

import pytest

from calslo_dagster.slo.changes import Changes, problems, with_settings
from calslo_dagster.slo.model import Cadence, Objective, Override
from calslo_dagster.slo.trials import Certain, Mode, Rate, Untestable
from calslo_dagster_tests.slo.samples import an_slo
from calslo_dagster_tests.slo.watched import ERROR, SHARE


def rate(**fields: Any) -> dict[str, Any]:
    return {"trial": SHARE.trial, "unit": "share", "objective": Objective(at_most=0.1), **fields}


def counted(objective: Objective) -> dict[str, Any]:
    return rate(trial=Rate(SHARE.trial.counts, 0.01, hit_from=1_000.0), unit="us", objective=objective)  # type: ignore[union-attr]  # a rate


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"pane": timedelta(hours=1)}, "nobody knows of this one"),
        (rate(objective=Objective(at_least=0.1)), "not >="),
        (rate(objective=Objective(within=(0.1, 0.2))), "not within"),
        (rate(objective=Objective(equal=0.1)), "not =="),
        (rate(cadence=Cadence.WEEKLY, window=timedelta(days=7)), "by the minute"),
        (rate(objective=Objective(at_most=0.0)), "a limit above 0"),
        (rate(overrides=(Override(fail=0.0, slices="a=b"),)), "a limit above 0"),
        (counted(Objective(below=1_000.0)) | {"overrides": (Override(fail=900.0),)}, "in all slices"),
        ({"trial": ERROR.trial, "objective": Objective(above=0.1)}, "not >"),
        ({"trial": Untestable()}, "nobody knows of this one"),
        (counted(Objective(below=2_000.0)), "counts events from 1000 us on, and fail is 2000.0"),
        (counted(Objective(below=1_000.0, warn=800.0)), "no events for warn 800.0"),
    ],
)  # fmt: skip
def test_only_evidence_mode_refuses_it(fields: dict[str, Any], told: str) -> None:
    slo = an_slo(**fields)
    found = problems(with_settings(slo, Changes(mode=Mode.EVIDENCE)))

    assert problems(slo) == ()
    assert len(found) == 1
    assert told in found[0]
    assert "mode: threshold" in found[0]


@pytest.mark.parametrize(
    "fields",
    [
        {},
        rate(),
        counted(Objective(below=1_000.0)),
        {"trial": Certain(), "pane": timedelta(hours=1)},
        {"trial": ERROR.trial, "objective": Objective(at_most=0.015)},
    ],
)
def test_the_others_are_followed(fields: dict[str, Any]) -> None:
    assert problems(an_slo(mode=Mode.EVIDENCE, **fields)) == ()
