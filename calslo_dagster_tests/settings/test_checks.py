"""Sections that contradict each other are refused, at the key to change."""

from pathlib import Path

import pytest

from calslo_dagster_tests.settings.files import mistakes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            "sources:\n  - {name: a, paths: [x]}\n  - {name: A, paths: [y]}",
            "3: sources[1].name: two sources are named 'A'; rename one",
        ),
        (
            "sources:\n  - {name: a, paths: [x], slice_columns: {languag: l}}",
            "2: sources[0].slice_columns.languag: 'languag' is not in slices.columns; did you mean language?",
        ),
        ("slices: {columns: [Score]}", "1: slices.columns[0]: 'Score' is a column with a meaning of its own"),
        (
            "exclusions:\n  - {from: 2026-01-02, to: 2026-01-02, reason: x, author: y}",
            "2: exclusions[0].to: 2026-01-02 00:00:00+00:00 is not after",
        ),
        ("retention: {panes: 29d}", "1: retention.panes: is shorter than label_horizon (30d)"),
        ("label_horizon: 7d\nretention: {panes: 14d}", "2: retention.panes: is shorter than 15d"),
        ("retention: {hours: 34d}", "1: retention.hours: is shorter than retention.panes"),
        (
            "availability: {periods: [7d, 500d]}",
            "1: availability.periods[1]: is longer than retention.measurements (400d)",
        ),
        ("burn: {period: 500d}", "1: burn.period: is longer than retention.measurements (400d)"),
        (
            "burn:\n  tiers:\n  - {name: a, share: 0.1, long: 1h, short: 1h}",
            "3: burn.tiers[0].short: is not shorter than long (1h)",
        ),
        (
            "evaluation_step: 6h\nburn:\n  tiers:\n  - {name: a, share: 0.1, long: 1h, short: 15m}",
            "4: burn.tiers[0].long: holds no whole evaluation step (6h), so the tier can never fire",
        ),
        (
            "burn:\n  tiers:\n  - {name: a, share: 0.1, long: 3d, short: 6h}",
            "3: burn.tiers[0].share: fires while the budget still lasts; write at least 0.1071, or a shorter long",
        ),
        ("lateness: 40d", "1: lateness: is longer than label_horizon (30d)"),
    ],
)
def test_a_contradiction_is_refused_at_the_key_to_change(tmp_path: Path, text: str, told: str) -> None:
    (line,) = mistakes(tmp_path, text)

    assert line.startswith(f"calslo.yaml:{told}")
