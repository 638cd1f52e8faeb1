"""Expose the stored results to Prometheus: one answer for one scrape, and the rules to alert by."""

from collections.abc import Callable
from datetime import datetime
from time import perf_counter

from calslo_dagster.errors import StoreError
from calslo_dagster.exports.counters import Counters
from calslo_dagster.exports.prometheus import dropped_series, exposition, unavailable
from calslo_dagster.exports.prometheus_rules import Stepped, rules_yaml
from calslo_dagster.pipeline.context import step_of
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_board import read_board
from calslo_dagster.pipeline.read_totals import promised_of, read_totals


def expose_metrics(
    project: Project,
    accept: str = "",
    *,
    now: datetime,
    counters: Counters | None = None,
    clock: Callable[[], float] = perf_counter,
) -> tuple[bytes, str]:
    """Return the metrics in the format of the `Accept` header, with their content type.

    counters: those of this process, which are told of what happened since; without them nothing is counted. A store
    that cannot be read is an answer, too: `calslo_store_up 0`.
    """
    began, most = clock(), project.settings.prometheus.most_series
    try:
        board = read_board(project, now=now)
        totals = read_totals(project, now=now)
    except StoreError:
        return unavailable(accept)
    if counters is not None:
        counters.watch(totals, dropped=dropped_series(board, most))
    return exposition(
        board,
        accept,
        promised=promised_of(project),
        counters=counters,
        most_series=most,
        seconds=clock() - began,
    )


def alerting_rules(project: Project) -> str:
    """Return the rule file for the project's SLOs, with its burn rates."""
    settings = project.settings
    slos = [Stepped(slo, step_of(project, slo)) for slo in project.registry]
    return rules_yaml(slos, lateness=settings.lateness, period=settings.burn.period, tiers=settings.burn_tiers())
