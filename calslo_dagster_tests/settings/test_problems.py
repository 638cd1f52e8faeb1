"""Each complaint names the key as it was written and says what to write instead."""

from pathlib import Path

import pytest

from calslo_dagster_tests.settings.files import mistakes


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("latness: 5m", "1: latness: unknown key; did you mean lateness?"),
        ("engine: {thread: 2}", "1: engine.thread: unknown key; did you mean threads?"),
        ("engine: {xyz: 2}", "1: engine.xyz: unknown key; known are threads, memory_limit, temp_directory"),
        ("engine: 2", "1: engine: must be a mapping of keys to values, got 2"),
        ("engine: {threads: two}", "1: engine.threads: must be a whole number, got 'two'"),
        ("engine: {threads: 0}", "1: engine.threads: must be at least 1, got 0"),
        (
            "store_url: mysql://db/x",
            "1: store_url: mysql is no state store; write sqlite:///path or postgresql://host/name",
        ),
        ("home: 5", "1: home: must be text; write it in quotes, got 5"),
        ("home: ''", "1: home: must not be empty, got ''"),
        ("manifests: a.json", "1: manifests: must be a list, such as [a, b], got 'a.json'"),
        ("latency_limit_us: fast", "1: latency_limit_us: must be a number, got 'fast'"),
        ("latency_limit_us: 0", "1: latency_limit_us: must be above 0, got 0"),
        ("latency_limit_us: .inf", "1: latency_limit_us: must be a finite number, got inf"),
        ("history_start: 2026-02-30", "1: history_start: must be a date, such as 2026-03-01, got '2026-02-30'"),
        ("label_policy: frist", "1: label_policy: 'frist' is none of first, last; did you mean first?"),
        ("demo: {days: 500}", "1: demo.days: must be at most 400, got 500"),
        (
            "sources:\n  - paths: [x]",
            "2: sources[0].name: is missing: The name of the source in tables, alerts and on disk.",
        ),
        (
            "sources:\n  - {name: a, kind: fils}",
            "2: sources[0].kind: 'fils' is none of files, sql, demo, ingest; did you mean files?",
        ),
        ("sources:\n  - {name: a, kind: 5}", "2: sources[0].kind: '?' is none of files, sql, demo, ingest"),
        ("sources: [x]", "1: sources[0]: must be a mapping of keys to values, got 'x'"),
        ("sources:\n  - {name: a, paths: []}", "2: sources[0].paths: must not be empty"),
        ("sources:\n  - {name: a, paths: [x], hive: maybe}", "2: sources[0].hive: must be true or false, got 'maybe'"),
        (
            "sources:\n  - {name: a, paths: [x], columns: {scor: p}}",
            "2: sources[0].columns.scor: unknown key; did you mean score?",
        ),
        (
            "sources:\n  - name: a\n    paths: [x]\n    labels:\n      kind: sql\n      table: t",
            "4: sources[0].labels.url: is missing: The database; one with a password is `env:NAME` or `file:PATH`.",
        ),
        ("exclusions:\n  - {form: 2026-01-01}", "2: exclusions[0].form: unknown key; did you mean from?"),
        ("slos:\n  ece_bound: {fial: 0.1}", "2: slos.ece_bound.fial: unknown key; did you mean fail?"),
        ("slos:\n  moduls: [x]", "2: slos.moduls: must be a mapping of keys to values"),
    ],
)
def test_a_complaint_names_line_key_and_remedy(tmp_path: Path, text: str, told: str) -> None:
    assert f"calslo.yaml:{told}" in mistakes(tmp_path, text)


def test_long_values_and_addresses_are_not_repeated(tmp_path: Path) -> None:
    told = mistakes(tmp_path, f"demo: {{days: {'x' * 100}, seed: 'https://u:hunter2@x'}}")

    assert told == [
        "calslo.yaml:1: demo.days: must be a whole number",
        "calslo.yaml:1: demo.seed: must be a whole number",
    ]
