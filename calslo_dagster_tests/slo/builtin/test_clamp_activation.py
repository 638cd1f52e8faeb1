"""The share of clamped scores is known only where the log says so."""

import pytest

from calslo_dagster.slo.builtin.clamp_activation import slo
from calslo_dagster.slo.model import Evidence, Verdict
from calslo_dagster.slo.verdict import judge
from calslo_dagster.stats.snapshot import Snapshot
from calslo_dagster_tests.builders import snap


@pytest.mark.parametrize(
    ("clamped", "verdict"),
    [(0, Verdict.MEETING), (10, Verdict.MEETING), (11, Verdict.WARNING), (20, Verdict.WARNING), (21, Verdict.BREACHED)],
)
def test_five_percent_warn_and_ten_percent_breach(clamped: int, verdict: Verdict) -> None:
    found = Evidence(snap([0.5] * 200, clamped=[i < clamped for i in range(200)]))

    assert judge(slo, found, slo.sli(found)).verdict is verdict


def test_the_reason_counts_clamped_and_silent_events() -> None:
    found = Evidence(snap([0.5] * 200, clamped=[True] * 30 + [False] * 120 + [None] * 50))

    judgement = judge(slo, found, slo.sli(found))

    assert judgement.reason == (
        "Share of clamped scores is 20 % over 150 events; it must be at most 10 %. "
        "30 were clamped, 50 more events do not say."
    )


def test_a_log_without_clamp_information_is_unknown_and_says_what_to_map() -> None:
    found = Evidence(snap([0.5] * 200))

    judgement = judge(slo, found, slo.sli(found))

    assert judgement.verdict is Verdict.UNKNOWN
    assert "None of 200 events says whether it was clamped; map the column `clamped`" in judgement.reason


def test_an_empty_window_is_unknown() -> None:
    judgement = judge(slo, Evidence(Snapshot()), slo.sli(Evidence(Snapshot())))

    assert (judgement.verdict, judgement.reason) == (Verdict.UNKNOWN, "There are no events in this window.")
