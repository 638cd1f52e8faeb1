"""`calslo table`: the calibration table of one slice, bin by bin what was claimed and what happened."""

import json
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calslo_dagster.cli.opening import config_option, opened
from calslo_dagster.errors import CalsloError

if TYPE_CHECKING:
    from calslo_dagster.pipeline.project import Project
    from calslo_dagster.pipeline.tabulate_calibration import CalibrationTable
    from calslo_dagster.slo.calibration_table import BinSupport, CalibrationBin

_day = click.DateTime(["%Y-%m-%d"])


@click.command()
@click.option(
    "--slice", "name", default="*", show_default=True, help="Which slice, such as country=de; * is everything."
)
@click.option("--from", "first", type=_day, help="First day, UTC.  [default: the day of --to]")
@click.option("--to", "last", type=_day, help="Last day, UTC, included.  [default: the newest day with events]")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print."
)
@config_option
def table(name: str, first: datetime | None, last: datetime | None, *, form: str, config: Path | None) -> None:
    """Print the calibration table of a slice from the snapshots that are there, whatever its verdict.

    Each bin tells its labelled events, their mean score, the rate that came true with its 95 % interval, and the gap
    between the two. Below, bins that were fitted and have no traffic or the other way round, and foreign masks.

    \b
    Example: calslo table --slice country=de --from 2026-03-01 --to 2026-03-07
    """
    with opened(config) as project:
        end = last.date() if last else _newest_day(project)
        start = first.date() if first else end
        if end < start:
            raise click.UsageError(f"--to {end} is before --from {start}")
        found = _table_of(project, name, start, end)
    if form == "json":
        click.echo(json.dumps({"slice": found.slice, "from": f"{start}", "to": f"{end}", **_body(found)}, indent=2))
    else:
        _print(found, f"Calibration of {found.slice}, {start} to {end} (UTC)")


def _newest_day(project: "Project") -> date:
    from calslo_dagster.store import watermarks  # noqa: PLC0415 - keeps --help fast

    with project.store.read() as session:
        times = [one.last_event for one in watermarks.every(session) if one.last_event]
    if not times:
        raise CalsloError("there are no snapshots yet; run `calslo backfill`, or `calslo dev`")
    return max(times).date()


def _table_of(project: "Project", name: str, first: date, last: date) -> "CalibrationTable":
    from calslo_dagster.pipeline.tabulate_calibration import tabulate_calibration  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.slo.parameters import unknown_name  # noqa: PLC0415 - keeps --help fast

    tables = {one.slice: one for one in tabulate_calibration(project, [first, last])}
    if not tables:
        raise CalsloError(f"there are no snapshots; run `calslo backfill --from {first} --to {last}`")
    if name not in tables:
        raise CalsloError(unknown_name("slice", name, tables))
    return tables[name]


def _body(found: "CalibrationTable") -> dict[str, Any]:
    return {
        "bins": [
            {
                "lower": one.lower,
                "upper": one.upper,
                "events": one.events,
                "mean_score": one.mean_score,
                "observed": one.observed,
                "low": one.low,
                "high": one.high,
                "gap": one.gap,
                "is_consistent": one.is_consistent,
            }
            for one in found.bins
        ],
        "support": {version: [_support(one) for one in bins] for version, bins in found.supports.items()},
        "mask": {
            "matching": found.mismatch.matching,
            "foreign": found.mismatch.foreign,
            "unchecked": found.mismatch.unchecked,
        },
    }


def _support(one: "BinSupport") -> dict[str, Any]:
    return {
        "lower": one.lower,
        "upper": one.upper,
        "fitted": one.fitted,
        "traffic": one.traffic,
        "support": one.support.value,
    }


def _print(found: "CalibrationTable", title: str) -> None:
    from calslo_dagster.cli.tables import console  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.cli.tables import table as drawn  # noqa: PLC0415 - keeps --help fast

    out = console()
    header = ("bin", "labelled events", "mean score", "observed", "95 % interval", "gap", "")
    if any(one.events for one in found.bins):
        out.print(drawn(title, header, map(_row, found.bins)))
    else:
        out.print(f"{title}: no event has a label yet.")
    for line in _mismatches(found):
        out.print(line)


def _row(one: "CalibrationBin") -> tuple[str, ...]:
    span = f"{_number(one.lower)} to {_number(one.upper)}"
    interval = "-" if one.low is None else f"{_number(one.low)} to {_number(one.high)}"
    doubt = "" if one.is_consistent else "score outside the interval"
    return (span, f"{one.events:,}", _number(one.mean_score), _number(one.observed), interval, _number(one.gap), doubt)


def _number(value: float | None) -> str:
    from calslo_dagster.slo.limits import plain  # noqa: PLC0415 - keeps --help fast

    return "-" if value is None else plain(value)


def _mismatches(found: "CalibrationTable") -> Iterator[str]:
    from calslo_dagster.slo.calibration_table import Support  # noqa: PLC0415 - keeps --help fast

    for version, bins in found.supports.items():
        for one in bins:
            if one.support in (Support.NO_FIT, Support.NO_TRAFFIC):
                span = f"{_number(one.lower)} to {_number(one.upper)}"
                yield f"{version}, {span}: {one.support}, {one.fitted:,} events at fit and {one.traffic:,} now"
    if found.mismatch.foreign:
        yield f"{found.mismatch.foreign:,} events carry a mask other than the one of their version's manifest"
