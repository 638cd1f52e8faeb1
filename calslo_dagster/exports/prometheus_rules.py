"""Alerting rules for Prometheus, made from the registry: what burns, what is broken, and who watches the watcher.

The burn rates are the product's own tiers, fitted to each SLO's step and target; a tier that can never fire there, or
that would fire while the budget lasts, has no rule.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction
from typing import Any, Final

import yaml

from calslo_dagster.slo.availability import exact
from calslo_dagster.slo.budget import TIERS, PlannedTier, Tier, plan_tiers
from calslo_dagster.slo.model import SLO, Severity
from calslo_dagster.slo.windows import DAY

NOTE: Final = "# Written by `make docs` from the code; for your own SLOs: calslo metrics --format rules\n"
_MINUTE: Final = timedelta(minutes=1)
_ALL: Final = 'outcome=~"good|bad|unknown"'


@dataclass(frozen=True, slots=True)
class Rule:
    """One alerting rule; `held` is how long it has to be so before it fires."""

    alert: str
    expr: str
    summary: str
    next_step: str
    severity: str
    held: timedelta = timedelta(0)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Recording:
    """One recorded series."""

    record: str
    expr: str


@dataclass(frozen=True, slots=True)
class Group:
    """Rules that are evaluated together, in order."""

    name: str
    rules: tuple[Rule | Recording, ...]


@dataclass(frozen=True, slots=True)
class Stepped:
    """An SLO with the distance of its windows."""

    slo: SLO
    step: timedelta


def rules_yaml(
    slos: Sequence[Stepped],
    *,
    lateness: timedelta = 10 * _MINUTE,
    period: timedelta = 28 * DAY,
    tiers: Iterable[Tier] = TIERS,
) -> str:
    """Return the rule file for these SLOs; lateness, period and tiers are those of the settings."""
    groups = (_burn(slos, period, tuple(tiers)), _states(slos), _watch(lateness))
    found = {"groups": [_group(group) for group in groups if group.rules]}
    return NOTE + yaml.safe_dump(found, sort_keys=False, width=1_000, allow_unicode=True)


def _burn(slos: Sequence[Stepped], period: timedelta, tiers: tuple[Tier, ...]) -> Group:
    """Return the rules about fleets whose budgets burn too fast, each over a long and a short window."""
    planned = [(one, tier) for one in slos for tier in plan_tiers(one.step, one.slo.target, period, tiers)]
    used = [(one, tier) for one, tier in planned if not tier.dropped]
    lengths = {length for one, tier in used for length in _windows(one, tier)}
    records = [Recording(_ratio(length), _bad_share(length)) for length in sorted(lengths)]
    return Group("calslo-burn-rates", (*records, *(_burning(one, tier) for one, tier in used)))


def _windows(one: Stepped, tier: PlannedTier) -> tuple[timedelta, timedelta]:
    # Windows become final in bursts, one a step; a window of one step would often hold none.
    return tier.long * one.step, max(tier.short, 2) * one.step


def _bad_share(length: timedelta) -> str:
    span = _span(length)
    bad = f'sum by (slo) (increase(calslo_evaluations_total{{outcome="bad"}}[{span}]))'
    return f"{bad} / sum by (slo) (increase(calslo_evaluations_total{{{_ALL}}}[{span}]))"


def _ratio(length: timedelta) -> str:
    return f"slo:calslo_evaluations_bad:ratio_increase{_span(length)}"


def _burning(one: Stepped, tier: PlannedTier) -> Rule:
    share = tier.factor * (1 - exact(one.slo.target))
    long, short = _windows(one, tier)
    over = [f'{_ratio(length)}{{slo="{one.slo.name}"}} > {_number(share)}' for length in (long, short)]
    rate = f"{float(tier.factor):.3g} times as fast as it may"
    return Rule(
        alert="CalsloBudgetBurn",
        expr=" and ".join(over),
        summary=f"{one.slo.title}: the error budget of all slices burns {rate}, over {_span(long)} and {_span(short)}.",
        next_step=f"See which slices are breached on the dashboard, and follow: calslo runbook {one.slo.name}",
        severity="critical" if tier.name.startswith("page") else "warning",
        labels={"slo": one.slo.name, "tier": tier.name},
    )


def _states(slos: Sequence[Stepped]) -> Group:
    """Return the rules about single slices."""
    rules: list[Rule | Recording] = []
    for severity in reversed(Severity):
        names = [one.slo.name for one in slos if one.slo.severity is severity]
        if names:
            rules.append(_breached(names, severity))
    return Group("calslo-slices", (*rules, *_SLICES))


def _breached(names: Sequence[str], severity: Severity) -> Rule:
    return Rule(
        alert="CalsloBreached",
        expr=f'calslo_status{{status="breached",slo=~"{"|".join(sorted(names))}"}} == 1',
        summary="{{ $labels.slo }} is breached on slice {{ $labels.slice }}.",
        next_step="Find the likely causes with: calslo explain {{ $labels.slo }} '{{ $labels.slice }}'",
        severity=str(severity),
    )


_SLICES: Final = (
    Rule(
        alert="CalsloSliceBudgetBurn",
        expr="calslo_error_budget_burning == 1",
        summary="{{ $labels.slo }} burns the error budget of slice {{ $labels.slice }} too fast.",
        next_step="Follow: calslo runbook {{ $labels.slo }}",
        severity="warning",
    ),
    Rule(
        alert="CalsloBudgetSpent",
        expr="calslo_error_budget_remaining_ratio < 0",
        summary="{{ $labels.slo }} has spent the error budget of slice {{ $labels.slice }}.",
        next_step="Let changes wait until budget comes back, or agree on another target.",
        severity="warning",
    ),
    Rule(
        alert="CalsloIndicatorFails",
        expr='calslo_status{status="error"} == 1',
        summary="{{ $labels.slo }} cannot be computed for slice {{ $labels.slice }}.",
        next_step="Mend what the reason on the dashboard names, then run: calslo evaluate",
        severity="warning",
        held=15 * _MINUTE,
    ),
    Rule(
        alert="CalsloUnjudged",
        expr='calslo_status{status="unknown",slice="*"} == 1',
        summary="{{ $labels.slo }} could not be judged over all traffic for a day.",
        next_step="Check that events and labels arrive; the reason on the dashboard says what is missing.",
        severity="warning",
        held=DAY,
    ),
)


_OURSELVES: Final = (
    Rule(
        alert="CalsloNeverEvaluated",
        expr="calslo_evaluation_interval_seconds unless on (slo) calslo_last_evaluation_timestamp_seconds",
        summary="{{ $labels.slo }} has never been evaluated.",
        next_step="Start the schedules in Dagster, or run: calslo backfill",
        severity="warning",
        held=60 * _MINUTE,
    ),
    Rule(
        alert="CalsloExporterDown",
        expr="absent(calslo_store_up == 1)",
        summary="Nothing is heard of calslo, or it cannot read its store.",
        next_step="Check that calslo serve runs and is scraped, then that the store answers: calslo db upgrade",
        severity="critical",
        held=5 * _MINUTE,
    ),
    Rule(
        alert="CalsloNotificationsLost",
        expr='sum by (channel) (increase(calslo_notifications_total{outcome="dead"}[1h])) > 0',
        summary="Messages for {{ $labels.channel }} were given up.",
        next_step="Send a test with: calslo alerts test",
        severity="critical",
    ),
    Rule(
        alert="CalsloSeriesDropped",
        expr="increase(calslo_series_dropped_total[1h]) > 0",
        summary="There are more slices than series allowed; the best ones are left out.",
        next_step="Raise prometheus.most_series in calslo.yaml, or measure fewer slices.",
        severity="info",
    ),
)


def _watch(lateness: timedelta) -> Group:
    """Return the rules about ourselves: silence must not pass for health."""
    late = _number(Fraction(lateness // _MINUTE * 60))
    stale = Rule(
        alert="CalsloStale",
        expr=f"time() - calslo_last_evaluation_timestamp_seconds > 1.5 * calslo_evaluation_interval_seconds + {late}",
        summary="{{ $labels.slo }} has not been evaluated for {{ $value | humanizeDuration }}.",
        next_step="Check that the Dagster daemon runs and that minute_job and weekly_job succeed.",
        severity="critical",
    )
    return Group("calslo-watch", (stale, *_OURSELVES))


def _group(group: Group) -> dict[str, Any]:
    return {"name": group.name, "rules": [_written(rule) for rule in group.rules]}


def _written(rule: Rule | Recording) -> dict[str, Any]:
    if isinstance(rule, Recording):
        return {"record": rule.record, "expr": rule.expr}
    held = {"for": _span(rule.held)} if rule.held else {}
    return {
        "alert": rule.alert,
        "expr": rule.expr,
        **held,
        "labels": {"severity": rule.severity, **rule.labels},
        "annotations": {"summary": rule.summary, "next_step": rule.next_step},
    }


def _number(value: Fraction) -> str:
    return f"{float(value):.10g}"


def _span(length: timedelta) -> str:
    """Return a duration as Prometheus writes it, in its largest whole unit."""
    seconds = int(length.total_seconds())
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if seconds and seconds % size == 0:
            return f"{seconds // size}{unit}"
    return f"{seconds}s"
