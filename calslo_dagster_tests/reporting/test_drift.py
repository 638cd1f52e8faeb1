"""The drift report shows what is certain first, and says in sentences what moved and why."""

from calslo_dagster.reporting.attribution import Attributed, Part, attributed
from calslo_dagster.reporting.drift import (
    DriftRow,
    drift_attribution_markdown,
    drift_markdown,
    drift_rows,
    drift_story,
    judged_rows,
)
from calslo_dagster.slo.drift import judge_week
from calslo_dagster.stats.attribution import Effects, Metric
from calslo_dagster.stats.drift import Delta
from calslo_dagster.stats.estimate import Estimate
from calslo_dagster.stats.intervals import around
from calslo_dagster_tests.slo.samples import START

NOWHERE = Effects(0.0, 0.0, 0.0, 0.0)


def delta(metric: str, change: float | None, error: float = 0.004) -> Delta:
    found = Estimate.missing("no labelled events") if change is None else around(change, error, events=9_000)
    return Delta(metric, Estimate(0.5), Estimate(0.4), found)


def rows(**changes: list[Delta]) -> list[DriftRow]:
    named = {"*" if name == "all" else f"intent={name}": found for name, found in changes.items()}
    views = {name: () if name == "*" else ("intent",) for name in named}
    return drift_rows(START, judge_week(named, views, dict.fromkeys(named, 0.01)))


def cause(metric: Metric, effects: Effects, *parts: Part) -> Attributed:
    return Attributed("*", metric, 0.1 + effects.total, 0.1, effects, parts)


def test_breaches_come_first_then_warnings_and_what_is_unmeasured_last() -> None:
    found = rows(
        a=[delta("bias", 0.005, 0.001), delta("slope", 0.3, 0.4)],
        b=[delta("bias", 0.04), delta("slope", None)],
        c=[delta("bias", -0.06), delta("base_rate", 0.012)],
        d=[delta("bias", 0.004)],
    )

    assert [(row.slice, row.metric, row.judged.verdict) for row in found] == [
        ("intent=c", "bias", "breached"),
        ("intent=b", "bias", "breached"),
        ("intent=c", "base_rate", "warning"),
        ("intent=a", "slope", "unknown"),
        ("intent=d", "bias", "unknown"),
        ("intent=a", "bias", "meeting"),
        ("intent=b", "slope", "unknown"),
    ]


def test_only_what_is_judged_itself_is_counted() -> None:
    found = rows(all=[delta("brier_excess", 0.04), delta("brier", 0.04), delta("brier_mix", 0.0)])

    assert [row.metric for row in judged_rows(found)] == ["brier_excess"]
    assert drift_story(found, [])[0] == "Of 1 changes: 1 breached, 0 warning, 0 unknown, 0 meeting."
    assert drift_story([], []) == ["No slice has events in either week."]


def test_the_table_shows_signed_changes_with_intervals_and_reasons() -> None:
    text = drift_markdown(rows(all=[delta("bias", 0.04, 0.001)]))

    line = "| bias | breached | 0.4 | 0.5 | +0.04 | +0.03804 to +0.04196 | 9,000 | changed by +0.04, beyond 0.01"
    assert line in text
    assert "| - | - | 0 | no labelled events |" in drift_markdown(rows(all=[delta("bias", None)]))
    assert "1 more rows, none worse" in drift_markdown(rows(a=[delta("bias", 0.04)], b=[delta("bias", 0.04)]), limit=1)


def test_rounding_is_not_shown_as_a_change() -> None:
    assert "| meeting | 0.4 | 0.5 | 0 |" in drift_markdown(rows(all=[delta("bias", 3e-8, 0.001)]))


def test_a_sentence_tells_what_moved_and_why() -> None:
    found = rows(all=[delta("brier", 0.012), delta("brier_excess", 0.01), delta("brier_mix", 0.002)])
    parts = (
        Part("language=de", Effects(0.003, 0.0, 0.0, 0.0), share_current=0.5, share_previous=0.25),
        Part("language=en", Effects(-0.001, 0.0, 0.01, 0.0), share_current=0.5, share_previous=0.75),
    )

    told = drift_story(found, [cause(Metric.BRIER, Effects(0.002, 0.0, 0.01, 0.00001), *parts)])

    assert told[1] == (
        "The Brier score rose by 0.0120 (mix of scores +0.0020, excess +0.0100): +0.0100 because outcomes at the same "
        "score changed, +0.0020 because of other shares of slices, first of all more traffic of language=de (25 % to "
        "50 %)."
    )


def test_a_sentence_takes_back_what_chance_alone_does() -> None:
    found = rows(all=[delta("bias", -0.004)])

    told = drift_story(found, [cause(Metric.BIAS, Effects(0.0, -0.004, 0.0, 0.0)), cause(Metric.ECE, NOWHERE)])

    assert told[1:] == [
        "The bias fell by 0.0040, no more than chance does; about 23,000 events a week would tell: -0.0040 because the "
        "same slices got other scores.",
        "The ECE of ten equal-width bins did not move.",
    ]


def test_the_worst_breaches_are_named() -> None:
    told = drift_story(rows(a=[delta("bias", 0.04)], b=[delta("bias", 0.05)], c=[delta("bias", 0.0)]), [])

    assert told[1:] == [
        "intent=b: bias changed by +0.05, beyond 0.01 for certain.",
        "intent=a: bias changed by +0.04, beyond 0.01 for certain.",
    ]


def test_causes_of_coarser_slices_are_in_the_table_only() -> None:
    one = Attributed("intent=buy", Metric.BIAS, 0.1, 0.2, Effects(-0.1, 0.0, 0.0, 0.0), ())

    assert len(drift_story(rows(all=[delta("bias", 0.0)]), [one])) == 1
    assert "| intent=buy | bias | -0.1 | 0 | 0 | -0.1 | 0 | - |" in drift_attribution_markdown([one])


def test_the_table_of_causes_names_the_largest_part() -> None:
    parts = (Part("a=1", Effects(0.0, 0.0, 0.02, 0.0), 0.5, 0.5), Part("a=2", Effects(0.0, 0.0, -0.05, 0.0), 0.5, 0.5))

    text = drift_attribution_markdown([cause(Metric.BIAS, Effects(0.0, 0.0, -0.03, 0.0), *parts)])

    assert "| bias | -0.03 | -0.03 | 0 | 0 | 0 | a=2 (-0.05) |" in text


def test_without_labels_nothing_is_attributed() -> None:
    assert attributed("*", Metric.BIAS, {}, {}) is None
