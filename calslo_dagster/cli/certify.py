"""`calslo slos certify`: say whether an SLO is noise, or blind, on the traffic that there is."""

import json
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from calslo_dagster.cli.opening import config_option, format_option

if TYPE_CHECKING:
    from calslo_dagster.pipeline.certify_slos import Fleet
    from calslo_dagster.settings import Settings
    from calslo_dagster.slo.certificate import Certificate, Kept
    from calslo_dagster.slo.model import SLO
    from calslo_dagster.slo.traffic import Traffic

REFUSED: Final = 1
_HEADER: Final = (
    *("SLO", "slice", "mode", "while", "predicted", "simulated", "95 % interval", "sees odds wrong by", "within"),
    "verdict",
)


@click.command()
@click.argument("names", nargs=-1)
@click.option(
    "--slices", type=click.IntRange(1), help="Groups of slices by volume, of each the middle one is simulated.  [3]"
)
@click.option("--months", type=click.FloatRange(0.1, 120), default=3.0, show_default=True, help="30 days each.")
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True, help="Decides every draw.")
@format_option
@config_option
def certify(
    names: tuple[str, ...], *, slices: int | None, months: float, seed: int, form: str, config: Path | None
) -> None:
    """Say how many of an SLO's alarms would be noise, and what it can see, from the traffic of its slices.

    Labels are drawn from the scores of the last two weeks as if the model were perfectly calibrated, shares of clamped
    and slow events at 0.7 of their limit and at the limit. The windows of the simulated months are judged and folded
    into breaches as real ones are. Without snapshots, stated shapes of traffic are taken.

    Figures are false breaches a slice and 30 days. An SLO is refused as `noisy` where a calibrated slice has more than
    one in three months, or more of its windows past the limit than its target allows; in evidence mode, where it has
    more than were budgeted. It is refused as `blind` where not even odds that are wrong by three are found with 80 %
    power. Exit code: 0 none refused, 1 some refused, 2 bad usage.

    \b
    Example: calslo slos certify ece_bound --slices 5
    """
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast

    settings = load_settings(config)
    slos = _wanted(settings, names)
    traffic = _traffic(settings)
    certificates = _certificates(slos, traffic, settings.evaluation_step, slices=slices, months=months, seed=seed)
    _print(slos, certificates, form)
    sys.exit(REFUSED if any(one.remedy for one in certificates) else 0)


def _wanted(settings: "Settings", names: Sequence[str]) -> "list[SLO]":
    from calslo_dagster.errors import SettingsError  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.plugins import load_registry  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.slo.parameters import unknown_name  # noqa: PLC0415 - keeps --help fast

    known = {slo.name: slo for slo in load_registry(settings)}
    for name in names:
        if name not in known:
            raise SettingsError(unknown_name("SLO", name, known))
    return [known[name] for name in dict.fromkeys(names)] if names else list(known.values())


def _traffic(settings: "Settings") -> "list[Traffic]":
    from calslo_dagster.pipeline.certify_slos import assumed_traffic  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.project import open_project  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.survey_traffic import survey_traffic  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.store.session import is_absent, normalized  # noqa: PLC0415 - keeps --help fast

    found: list[Traffic] = []
    if not is_absent(normalized(settings.store_url)):
        project = open_project(settings)
        with project.store:
            found = survey_traffic(project)
    if found:
        return found
    click.echo(
        "note: there is no whole day of snapshots yet, so traffic is assumed: typical shapes, not yours", err=True
    )
    return assumed_traffic(float(settings.latency_limit_us))


def _certificates(
    slos: "list[SLO]", traffic: "list[Traffic]", step: timedelta, *, slices: int | None, months: float, seed: int
) -> "list[Certificate]":
    from calslo_dagster.cli.progress import progress  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.certify_slos import Request, certified, trials  # noqa: PLC0415 - keeps --help fast

    request = Request(months, seed, step)
    return [certified(one, request) for one in progress(trials(slos, traffic, request, slices=slices), "slice")]


def _print(slos: "list[SLO]", certificates: "list[Certificate]", form: str) -> None:
    from calslo_dagster.pipeline.certify_slos import fleets  # noqa: PLC0415 - keeps --help fast

    found = fleets(slos, certificates)
    if form == "json":
        body = {"certificates": [_body(one) for one in certificates], "fleets": [_fleet(one) for one in found]}
        click.echo(json.dumps(body, indent=2, ensure_ascii=False, allow_nan=False))
        return
    _print_table(certificates)
    click.echo()
    for fleet in found:
        click.echo(
            f"{fleet.slo}: {fleet.rate:.3g} false breaches in 30 days over {fleet.slices:,} "
            f"slice{'s' * (fleet.slices > 1)}, {fleet.standing}"
        )
    for one in certificates:
        if one.remedy or one.standing == "open":
            click.echo(f"{one.standing}: {one.slo} of {one.slice}: {one.reason}" + f"; {one.remedy}" * bool(one.remedy))


def _print_table(certificates: "list[Certificate]") -> None:
    from calslo_dagster.cli.tables import console, narrow_wraps, table  # noqa: PLC0415 - keeps --help fast

    out, rows = console(), list[tuple[str, ...]]()
    for one in certificates:
        name = f"{one.slice} (1 of {one.slices})" if one.slices > 1 else one.slice
        if not one.kept:
            rows.append((one.slo, name, one.mode, "-", "-", "-", "-", "-", "-", one.standing))
        for place, kept in enumerate(one.kept):
            first = (one.slo, name, one.mode) if place == 0 else ("", "", "")
            last = (*_sight(one), one.standing.value) if place == 0 else ("", "", "")
            rows.append((*first, kept.what, *_figures(kept), *last))
    out.print(table("", _HEADER, rows, wraps=narrow_wraps(out, _HEADER)))


def _figures(kept: "Kept") -> tuple[str, str, str]:
    predicted = "-" if kept.prediction.per_month is None else _number(kept.prediction.per_month)
    if kept.simulated is None:
        return predicted, "-", "-"
    low, high = kept.simulated.interval
    return predicted, _number(kept.simulated.rate), f"{_number(low)} to {_number(high)}"


def _sight(one: "Certificate") -> tuple[str, str]:
    from calslo_dagster.slo.windows import spoken  # noqa: PLC0415 - keeps --help fast

    factor = "-" if one.seen.odds is None else f"x{one.seen.odds:.2f}"
    return factor, "-" if one.seen.within is None else spoken(one.seen.within)


def _number(value: float) -> str:
    return (
        f"{value:.2g}"
        if 0.001 <= value < 100
        else f"{value:,.0f}"
        if value >= 100
        else "0"
        if value < 1e-9
        else "<0.001"
    )


def _body(one: "Certificate") -> dict[str, Any]:
    seen = one.seen
    return {
        "slo": one.slo,
        "slice": one.slice,
        "slices": one.slices,
        "mode": one.mode,
        "is_assumed": one.is_assumed,
        "labeled_per_day": round(one.per_day, 1),
        "kept": [_kept_body(kept) for kept in one.kept],
        "false_breaches_per_month": one.rate,
        "seen": {
            "odds": seen.odds,
            "slope": seen.slope,
            "error": seen.error,
            "rate": seen.rate,
            "within_seconds": seen.within.total_seconds() if seen.within else None,
        },
        "standing": one.standing.value,
        "reason": one.reason,
        "remedy": one.remedy or None,
    }


def _kept_body(kept: "Kept") -> dict[str, Any]:
    count = kept.simulated
    low, high = count.interval if count else (None, None)
    return {
        "while": kept.what,
        "decides": kept.decides,
        "predicted": kept.prediction.per_month,
        "method": kept.prediction.method,
        "simulated": count.rate if count else None,
        "low": low,
        "high": high,
        "months": count.months if count else None,
        "windows_past_limit": kept.past,
    }


def _fleet(one: "Fleet") -> dict[str, Any]:
    return {
        "slo": one.slo,
        "slices": one.slices,
        "false_breaches_per_month": one.rate,
        "budget": one.budget,
        "standing": one.standing.value,
    }
