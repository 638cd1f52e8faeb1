"""What `calslo evaluate` prints: a table for people, JSON and CSV for programs."""

import csv
import io
import json
import math
import sys
from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Final

import click

from calslo_dagster.cli.tables import console, print_measurements, print_metrics
from calslo_dagster.pipeline.evaluate_files import Evaluation, Request
from calslo_dagster.reporting.tables import moment, worst_first
from calslo_dagster.slo.model import EVERYTHING, Measurement

FIELDS: Final = (
    *("slo", "slice", "window_start", "window_end", "value", "threshold", "warn_threshold"),
    *("low", "high", "events", "labeled", "verdict", "reason"),
)


def print_results(evaluation: Evaluation, request: Request, form: str) -> None:
    """Print the evaluation on standard output, as `table`, `json` or `csv`."""
    if form == "json":
        click.echo(_json(evaluation))
    elif form == "csv":
        click.echo(_csv(evaluation), nl=False)
    else:
        _print_tables(evaluation, request)


def notes(evaluation: Evaluation) -> Iterator[str]:
    """Yield what must be told beside the results, whatever their form."""
    yield from evaluation.errors
    yield from evaluation.copies
    if evaluation.whole is None:
        rejected = f", {_counts(evaluation)}" if evaluation.rejected else ""
        yield f"there is nothing to measure: no row has a usable time ({evaluation.rows:,} rows{rejected})"
    conflicts = evaluation.metrics[EVERYTHING]["conflicting_labels"]
    if conflicts:
        yield f"copies of {conflicts:,} predictions have different labels; these count without a label"


def _json(evaluation: Evaluation) -> str:
    """Return one JSON object with a line for each measurement and each slice, which line tools can search."""
    metrics = (
        f"{_dumped(name)}: {_dumped({metric: _finite(value) for metric, value in values.items()})}"
        for name, values in evaluation.metrics.items()
    )
    measurements = _lines(_dumped(_row(measurement)) for measurement in evaluation.measurements)
    return (
        f'{{\n"measurements": [{measurements}],\n"metrics": {{{_lines(metrics)}}},\n'
        f'"rejected": {_dumped(dict(evaluation.rejected))}\n}}'
    )


def _lines(parts: Iterable[str]) -> str:
    return "".join(f"{',' if place else ''}\n  {part}" for place, part in enumerate(parts)) + "\n"


def _dumped(value: Any) -> str:
    is_unicode = (sys.stdout.encoding or "").lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not is_unicode, allow_nan=False)


def _csv(evaluation: Evaluation) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, FIELDS, lineterminator="\n")
    writer.writeheader()
    for measurement in evaluation.measurements:
        # A limit with two ends is a list, as in JSON.
        writer.writerow({k: json.dumps(v) if isinstance(v, list) else v for k, v in _row(measurement).items()})
    return text.getvalue()


def _row(measurement: Measurement) -> dict[str, Any]:
    return {name: _plain(getattr(measurement, name)) for name in FIELDS}


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple):
        return [_finite(end) for end in value]
    return _finite(value) if isinstance(value, float) else value


def _finite(value: float | None) -> float | None:
    """Return the number, or None for what JSON cannot write."""
    return value if value is None or math.isfinite(value) else None


def _print_tables(evaluation: Evaluation, request: Request) -> None:
    out = console()
    whole = evaluation.whole
    span = f", {moment(whole.start)} to {moment(whole.end)} UTC" if whole else ""
    rows = worst_first(evaluation.measurements, request.slos)
    title = f"{evaluation.rows:,} rows{span}; worst first"
    print_measurements(out, rows, title, shows_windows=request.window is not None)
    out.print()
    print_metrics(out, evaluation.metrics)
    if evaluation.rejected:
        out.print(f"\nRows kept out of the sums: {_counts(evaluation)}.")


def _counts(evaluation: Evaluation) -> str:
    return ", ".join(f"{rows:,} {reason}" for reason, rows in sorted(evaluation.rejected.items()))
