"""`calslo explain`: what is likely behind a breach, with the evidence for each cause."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from calslo_dagster.cli.opening import config_option, opened, utc_now

if TYPE_CHECKING:
    from calslo_dagster.pipeline.explain_breaches import Explained


@click.command()
@click.argument("name", metavar="BREACH_ID|SLO")
@click.argument("slice_name", metavar="[SLICE]", required=False)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="What to print."
)
@config_option
def explain(name: str, slice_name: str | None, *, form: str, config: Path | None) -> None:
    """Print the causes of a breach, the likeliest first, with the evidence for each and what to do first.

    Name it by its id, which may be cut to its first letters, or by its SLO and slice for the newest one. Causes
    are looked for anew in what is stored: calibrator versions, slices, scores, labels, bad scores, clamping, latency
    and volume. "No stored cause stands out" is an answer, too.

    \b
    Examples:
      calslo explain ece_bound intent=refund,language=de
      calslo explain 3f9a --format json
    """
    from calslo_dagster.pipeline.explain_breaches import breach_named, explain_breach  # noqa: PLC0415 - fast --help

    with opened(config) as project:
        found = explain_breach(project, breach_named(project, name, slice_name), now=utc_now())
    if form == "json":
        click.echo(json.dumps(_json(found), indent=2, ensure_ascii=False))
    else:
        _print(found)


def _json(found: "Explained") -> dict[str, object]:
    breach = found.breach
    return {
        "breach": breach.id,
        "slo": breach.slo,
        "slice": breach.slice,
        "onset": breach.onset.isoformat(),
        "recovered_at": breach.recovered_at.isoformat() if breach.recovered_at else None,
        "peak_value": breach.peak_value,
        "causes": [
            {"kind": str(one.kind), "score": one.score, "evidence": one.evidence, "advice": one.advice}
            for one in found.causes
        ],
    }


def _print(found: "Explained") -> None:
    from calslo_dagster.alerting.phrases import one_line  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.reporting.tables import moment  # noqa: PLC0415 - keeps --help fast

    breach = found.breach
    until = f"to {moment(breach.recovered_at)}" if breach.recovered_at else "and goes on"
    where = one_line(breach.slice, 200)
    click.echo(f"{breach.slo} of {where}, from {moment(breach.onset)} UTC {until} (breach {breach.id})")
    click.echo(f"{one_line(breach.reason, 400)}\n")
    for rank, one in enumerate(found.causes, start=1):
        click.echo(f"{rank}. {one.kind} ({one.score:.2f}): {one_line(one.evidence, 1_000)}")
        click.echo(f"   First: {one.advice}")
