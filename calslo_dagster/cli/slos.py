"""`calslo slos`: which promises are kept, and what each of them means."""

import json
import shutil
import textwrap
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from calslo_dagster.cli.certify import certify

if TYPE_CHECKING:
    from calslo_dagster.plugins import Entry
    from calslo_dagster.slo.model import Bound

_file = click.option("--config", type=click.Path(path_type=Path), help="Settings file; ./calslo.yaml unless told.")
_format = click.option(
    "--format", "form", type=click.Choice(["table", "json"]), default="table", show_default=True, help="What to print."
)
WIDEST: Final = 110


@click.group(invoke_without_command=True)
@click.pass_context
def slos(context: click.Context) -> None:
    """List the SLOs and explain each of them.

    \b
    Example: calslo slos show ece_bound
    """
    if context.invoked_subcommand is None:
        context.invoke(list_slos)


slos.add_command(certify)


@slos.command("list")
@_file
@_format
def list_slos(config: Path | None = None, form: str = "table") -> None:
    """List every SLO that is measured, with its limits, window and origin.

    \b
    Example: calslo slos list --format json
    """
    rows = [_row(entry) for entry in _entries(config)]
    if form == "json":
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    _print_table(rows)


@slos.command()
@click.argument("name")
@_file
@_format
def show(name: str, config: Path | None, form: str) -> None:
    """Explain one SLO: what it promises, its limits and parameters, what it needs, and what to do on a breach.

    \b
    Example: calslo slos show ece_bound
    """
    from calslo_dagster.errors import SettingsError  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.slo.parameters import unknown_name  # noqa: PLC0415 - keeps --help fast

    entries = {entry.slo.name: entry for entry in _entries(config)}
    if name not in entries:
        raise SettingsError(unknown_name("SLO", name, entries))
    row = _row(entries[name]) | _details(entries[name])
    click.echo(json.dumps(row, indent=2, ensure_ascii=False) if form == "json" else _page(row))


@slos.command()
def metrics() -> None:
    """List the metrics that an SLO in `slos.define` may name.

    \b
    Example: calslo slos metrics
    """
    from calslo_dagster.slo.metrics import METRICS  # noqa: PLC0415 - keeps --help fast

    width = max(map(len, METRICS))
    for metric in METRICS.values():
        click.echo(f"{metric.name:{width}}  {metric.text} ({metric.unit})")


def _entries(config: Path | None) -> "tuple[Entry, ...]":
    from calslo_dagster.plugins import load_entries  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast

    return load_entries(load_settings(config))


def _row(entry: "Entry") -> dict[str, Any]:
    slo = entry.slo
    return {
        "name": slo.name,
        "title": slo.title,
        "operator": slo.objective.operator.value,
        "fail": slo.objective.limit,
        "warn": slo.objective.warn,
        "is_computed": slo.objective.computed is not None,
        "unit": slo.unit,
        "window": _span(slo.window),
        "cadence": slo.cadence.value,
        "target": slo.target,
        "min_events": slo.min_events,
        "slices": slo.slices,
        "origin": entry.origin,
    }


def _details(entry: "Entry") -> dict[str, Any]:
    from calslo_dagster.settings.idle import ignored_by  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.slo.trials import Certain, Mode  # noqa: PLC0415 - keeps --help fast

    slo = entry.slo
    is_certain = isinstance(slo.trial, Certain)
    return {
        "description": slo.description,
        "needs": sorted(slo.needs),
        "parameters": [
            {"name": p.name, "value": entry.chosen.get(p.name, p.default), "default": p.default, "text": p.text}
            for p in entry.parameters
        ],
        "overrides": [{"slices": o.slices, "models": o.models, "fail": o.fail, "warn": o.warn} for o in slo.overrides],
        "open_after": slo.open_after,
        "close_after": slo.close_after,
        "mode": slo.mode.value,
        "false_breaches": None if slo.mode is Mode.THRESHOLD else 0.0 if is_certain else slo.alarms.breaches,
        "ignored": [] if slo.mode is Mode.THRESHOLD else sorted(ignored_by(slo)),
        "owner": slo.owner,
        "runbook": slo.runbook,
    }


def _print_table(rows: list[dict[str, Any]]) -> None:
    from calslo_dagster.cli.tables import console, table  # noqa: PLC0415 - keeps --help fast

    header = ("SLO", "Promise", "Warns", "Window", "Target", "Events", "Origin")
    cells = (
        (
            row["name"],
            _promise(row),
            "" if row["warn"] is None else _figure(row["warn"], row["unit"]),
            f"{row['window']}, {row['cadence']}",
            f"{row['target']:.4g}",
            f"{row['min_events']:,}",
            row["origin"],
        )
        for row in rows
    )
    console().print(table("", header, cells, wraps=header[1:4]))


def _page(row: dict[str, Any]) -> str:
    warning = "" if row["warn"] is None else f"; warns past {_figure(row['warn'], row['unit'])}"
    facts = {
        "limit": f"{_promise(row)}{warning}",
        "window": f"{row['window']}, measured by the {row['cadence'].removesuffix('ly')}",
        "target": f"{row['target']:.4g} of all windows",
        "needs": f"{row['min_events']:,} events with {', '.join(row['needs']) or 'no column in particular'}",
        "slices": row["slices"],
        "breach": f"opens after {row['open_after']} and closes after {row['close_after']} windows in a row",
        "mode": _mode(row),
        "owner": row["owner"],
        "origin": row["origin"],
    }
    blocks = [f"{row['name']}: {row['title']}", ""]
    blocks += [_filled(row["description"], ""), ""] if row["description"] else []
    blocks += [_filled(text, f"{name:10}  ") for name, text in facts.items() if text]
    blocks += [f"for {o['slices']} of {o['models']}: fail {o['fail']}, warn {o['warn']}" for o in row["overrides"]]
    blocks += ["", "parameters"] if row["parameters"] else []
    blocks += [_filled(f"{p['name']} = {p['value']}: {p['text']}", "  ") for p in row["parameters"]]
    blocks += ["", _filled(row["runbook"], "runbook     ")] if row["runbook"] else []
    return "\n".join(blocks)


def _mode(row: dict[str, Any]) -> str:
    if row["false_breaches"] is None:
        return str(row["mode"])
    if not row["false_breaches"]:
        return f"{row['mode']}: judged as by threshold, for it counts facts, and chance has no part in them"
    kept = f"{row['mode']}: at most {row['false_breaches']:.3g} false breaches in 30 days, over all slices"
    return f"{kept}; does not go by {', '.join(row['ignored'])}" if row["ignored"] else kept


def _filled(text: str, start: str) -> str:
    width = min(WIDEST, shutil.get_terminal_size().columns)
    return textwrap.fill(text, width, initial_indent=start, subsequent_indent=" " * len(start))


def _promise(row: dict[str, Any]) -> str:
    computed = " (computed)" if row["is_computed"] else ""
    return f"{row['operator']} {_figure(row['fail'], row['unit'])}{computed}"


def _figure(bound: "Bound", unit: str) -> str:
    from calslo_dagster.slo.limits import figure  # noqa: PLC0415 - keeps --help fast

    return " to ".join(figure(end, unit) for end in bound) if isinstance(bound, tuple) else figure(bound, unit)


def _span(length: timedelta) -> str:
    from calslo_dagster.settings.types import duration_text  # noqa: PLC0415 - keeps --help fast

    return duration_text(length)
