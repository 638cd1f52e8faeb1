"""Days of quarter hours under ticks and standings: what is right, and what does not matter, does not disturb.

`python -m benchmarks.detection scenarios` runs the same slices for many months.
"""

from dataclasses import replace

import numpy as np
import pytest

from calslo_dagster.slo.model import Verdict
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.slo.scenarios import INCIDENT, TRAFFIC, month
from calslo_dagster_tests.slo.watched import ERROR, PANES_A_DAY, Traffic, alarms, course, outcomes, pane

DAYS = 5


@pytest.mark.parametrize("name", ["diurnal traffic", "diurnal mix", "sessions", "few events", "rate at the limit"])
def test_what_keeps_its_promise_is_not_breached(name: str) -> None:
    """Of a budget of one in thirty days, a few days have no breach with a chance of 85 % at the limit itself."""
    found = month(name, 3, days=DAYS)

    assert (found.breaches, found.breach_alarms) == (0, 0)
    if name != "rate at the limit":
        assert found.warnings <= 1


def test_a_harmless_error_is_one_warning_and_no_breach() -> None:
    found = month("harmless", 0, days=14)

    assert (found.breaches, found.warnings) == (0, 1)
    assert found.change_alarms > 5


def test_an_incident_is_one_breach_that_ends_soon_after_the_fix() -> None:
    """Twelve days, of which the eleventh is off by 0.6 in logits: an error of 0.1."""
    found = course(ERROR, TRAFFIC["incident"].panes(12 * PANES_A_DAY, 1))
    breached = [at for at, verdict in enumerate(found.verdicts) if verdict is Verdict.BREACHED]

    assert found.episodes(Verdict.BREACHED) == 1
    assert breached[0] in range(INCIDENT.start, INCIDENT.start + 8)
    assert breached[-1] in range(INCIDENT.stop, INCIDENT.stop + 24)


def test_sessions_that_share_their_luck_widen_the_noise() -> None:
    """Of five labels with a third of their latent variance in common, the sum varies 1.6 to 1.9 times as much."""
    assert 1.4 < month("sessions", 3, days=DAYS).dispersion < 2.0
    assert month("diurnal traffic", 3, days=DAYS).dispersion < 1.15


def test_labels_of_one_kind_that_come_first_are_no_evidence() -> None:
    """For half a day only positives are there, a third of all: neither an alarm, nor a claim that all is well."""
    rng, panes = np.random.default_rng(5), list[Snapshot]()
    for at in range(4 * PANES_A_DAY):
        p = rng.beta(2, 5, 200)
        y = outcomes(p, rng)
        is_early = 3 * PANES_A_DAY <= at < 3 * PANES_A_DAY + 48
        panes.append(pane(p, y, labeled=y > 0 if is_early else y >= 0))
    found = course(ERROR, panes)

    assert alarms(found.looks)[0] == 0
    assert found.looks[3 * PANES_A_DAY].e_value == found.looks[3 * PANES_A_DAY + 47].e_value


def test_the_steps_in_which_panes_come_do_not_matter() -> None:
    panes = list(replace(Traffic(), truth=lambda at, p: np.minimum(1.0, p + 0.05 * (at > 150))).panes(200, 3))

    assert course(ERROR, panes[:170]).verdicts == course(ERROR, panes).verdicts[:170]
