"""What no single key shows: settings that contradict each other across sections."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import chain
from typing import Final

from calslo_dagster.settings.channels import LOG, SlackChannel
from calslo_dagster.settings.document import Loc, Mistake
from calslo_dagster.settings.model import Settings
from calslo_dagster.settings.problems import nearest
from calslo_dagster.settings.slos import AggregationName, SloSettings
from calslo_dagster.settings.sources import ColumnSection
from calslo_dagster.settings.types import duration_text
from calslo_dagster.slo.noise import constant_mistake, constant_warning, limit_warning

Found = Iterator[tuple[Loc, str]]
ECE_BOUND: Final = "ece_bound"
# Metrics that chance alone makes about sqrt(bins / events), here of at most 15 bins.
BINNED_ERRORS: Final = frozenset({"ece_ew10", "ece_ew15", "ece_em15"})
# The weekly SLOs compare a week with the one before it, and are evaluated after the second one is complete.
_TWO_WEEKS: Final = timedelta(days=14)


def contradictions(settings: Settings, broken: set[str]) -> list[tuple[Loc, str]]:
    """Return every contradiction as (where, what); checks that need a section that is itself broken do not run."""
    checks = (check(settings) for sections, check in _CHECKS if not broken & sections)
    return list(chain.from_iterable(checks))


def doubts(settings: Settings) -> list[Mistake]:
    """Return what can be meant as it is written, and hardly is."""
    found = [settings.mistake(loc, text) for loc, text in _noise(settings)]
    return [*found, *_broken_templates(settings)]


def _noise(settings: Settings) -> Found:
    """Yield the constants and fixed limits of the ECE that noise alone breaks, or that hide errors."""
    c = settings.slos.named.get(ECE_BOUND, SloSettings()).parameters.get("c")
    if isinstance(c, int | float) and (text := constant_warning(c)):
        yield ("slos", ECE_BOUND, "parameters", "c"), text
    for index, entry in enumerate(settings.slos.define):
        is_error = entry.metric in BINNED_ERRORS and entry.aggregation is AggregationName.WINDOW
        if is_error and isinstance(entry.fail, float) and (text := limit_warning(entry.fail, entry.min_events)):
            yield ("slos", "define", index, "fail"), text


def _broken_templates(settings: Settings) -> Iterator[Mistake]:
    """Yield the templates in whose place our words are sent."""
    from calslo_dagster.alerting.templates import Templates  # noqa: PLC0415 - only `config check` compiles them

    for name, text in Templates.of(settings.message_templates()).problems.items():
        yield settings.mistake(("alerting", "templates", *name.split(".")), f"{text}; our own words are sent instead")


def notes(settings: Settings) -> list[Mistake]:
    """Return what is worth knowing about sound settings: a fall-back that nobody away from this machine would see."""
    outside, fallback = set(settings.channels.named), set(settings.alerting.fallback) - {LOG}
    if not outside:
        text = f"no channel leaves this machine: alerts are lines of {settings.alert_log}, and nobody is told"
        return [settings.mistake(("channels",), text)]
    if fallback and (fallback != outside or len(outside) > 1):
        return []
    what = (
        f"{next(iter(fallback))}, the only channel" if fallback else f"a log file on this machine, {settings.alert_log}"
    )
    text = f"the fall-back is {what}: when a channel fails, nobody is told; name another channel in alerting.fallback"
    # Else the key that nobody wrote would be told without its section.
    is_written = "fallback" in settings.alerting.model_fields_set
    return [settings.mistake(("alerting", "fallback") if is_written else ("alerting",), text)]


def _constants(settings: Settings) -> Found:
    c = settings.slos.named.get(ECE_BOUND, SloSettings()).parameters.get("c")
    if isinstance(c, int | float) and not isinstance(c, bool) and (text := constant_mistake(c)):
        yield ("slos", ECE_BOUND, "parameters", "c"), text


def _source_names(settings: Settings) -> Found:
    seen = set[str]()
    for index, source in enumerate(settings.sources):
        if source.name.lower() in seen:
            yield ("sources", index, "name"), f"two sources are named {source.name!r}; rename one"
        seen.add(source.name.lower())


def _slice_columns(settings: Settings) -> Found:
    for index, name in enumerate(settings.slices.columns):
        if name.lower() in ColumnSection.known_keys():
            yield ("slices", "columns", index), f"{name!r} is a column with a meaning of its own; slice by another one"
    for index, source in enumerate(settings.sources):
        if source.kind == "demo" or source.kind == "ingest":  # noqa: PLR1714 - mypy narrows by comparisons alone
            continue
        for name in set(source.slice_columns) - set(settings.slices.columns):
            remedy = nearest(name, settings.slices.columns)
            yield ("sources", index, "slice_columns", name), f"{name!r} is not in slices.columns; {remedy}"


def _exclusions(settings: Settings) -> Found:
    for index, exclusion in enumerate(settings.exclusions):
        if exclusion.start >= exclusion.end:
            yield ("exclusions", index, "to"), f"{exclusion.end} is not after {exclusion.start}; it excludes nothing"


def _retention(settings: Settings) -> Found:
    keep = settings.retention
    if keep.panes < settings.label_horizon:
        horizon = duration_text(settings.label_horizon)
        yield ("retention", "panes"), f"is shorter than label_horizon ({horizon}); late labels would find no snapshot"
    if keep.panes < _TWO_WEEKS + timedelta(days=1):
        yield ("retention", "panes"), "is shorter than 15d; the weekly SLOs would miss the week to compare with"
    if keep.hours < keep.panes:
        yield (
            ("retention", "hours"),
            "is shorter than retention.panes; the coarser snapshots must outlive the finer ones",
        )


def _periods(settings: Settings) -> Found:
    kept = settings.retention.measurements
    for index, period in enumerate(settings.availability.periods):
        if period > kept:
            length = duration_text(kept)
            yield ("availability", "periods", index), f"is longer than retention.measurements ({length}) keeps"
    if settings.burn.period > kept:
        yield ("burn", "period"), f"is longer than retention.measurements ({duration_text(kept)}) keeps"


def _burn_tiers(settings: Settings) -> Found:
    for index, tier in enumerate(settings.burn.tiers or ()):
        loc: Loc = ("burn", "tiers", index)
        factor = tier.share * (settings.burn.period / tier.long)
        if tier.short >= tier.long:
            yield (
                (*loc, "short"),
                f"is not shorter than long ({duration_text(tier.long)}); the alert would not end sooner",
            )
        if tier.long < settings.evaluation_step:
            step = duration_text(settings.evaluation_step)
            yield (*loc, "long"), f"holds no whole evaluation step ({step}), so the tier can never fire"
        if factor < 1:
            least = tier.long / settings.burn.period
            yield (*loc, "share"), f"fires while the budget still lasts; write at least {least:.4g}, or a shorter long"


def _lateness(settings: Settings) -> Found:
    if settings.lateness > settings.label_horizon:
        horizon = duration_text(settings.label_horizon)
        yield (
            ("lateness",),
            f"is longer than label_horizon ({horizon}); no window would be complete before its labels expire",
        )


def _channels(settings: Settings) -> Found:
    for name, channel in settings.channels.named.items():
        if not isinstance(channel, SlackChannel):
            continue
        if (channel.webhook_url is None) == (channel.token is None):
            yield ("channels", name), "names webhook_url or token; write exactly one of them"
        if channel.token is not None and not channel.channel:
            yield ("channels", name, "channel"), "is missing: the id of the channel that the token posts to"


def _escalation(settings: Settings) -> Found:
    section, known = settings.alerting, settings.channels.names
    for name, steps in section.policies.items():
        for index, step in enumerate(steps):
            for channel in step.notify:
                if channel not in known:
                    loc: Loc = ("alerting", "policies", name, index, "notify")
                    yield loc, f"{channel!r} is no channel; {nearest(channel, known)}"
    for channel in section.fallback:
        if channel not in known:
            yield ("alerting", "fallback"), f"{channel!r} is no channel; {nearest(channel, known)}"
    for index, route in enumerate(section.routes):
        if route.policy not in (policies := ("default", *section.policies)):
            remedy = nearest(route.policy, policies)
            yield ("alerting", "routes", index, "policy"), f"{route.policy!r} is no policy; {remedy}"


def _routes(settings: Settings) -> Found:
    if settings.alerting.routes or settings.alerting.templates:
        from calslo_dagster.settings import matching  # noqa: PLC0415 - reading other settings need not wait for it

        yield from chain(matching.wrong_routes(settings), matching.wrong_templates(settings))


def _mutes(settings: Settings) -> Found:
    if settings.alerting.mutes:
        from calslo_dagster.settings import matching  # noqa: PLC0415 - reading other settings need not wait for it

        yield from matching.wrong_mutes(settings)


_CHECKS: Final[tuple[tuple[frozenset[str], Callable[[Settings], Found]], ...]] = (
    (frozenset(), _source_names),
    (frozenset({"slos"}), _constants),
    (frozenset({"slices"}), _slice_columns),
    (frozenset(), _exclusions),
    (frozenset({"retention", "label_horizon"}), _retention),
    (frozenset({"retention", "availability", "burn"}), _periods),
    (frozenset({"burn", "evaluation_step"}), _burn_tiers),
    (frozenset({"lateness", "label_horizon"}), _lateness),
    (frozenset(), _channels),
    (frozenset({"channels", "alerting"}), _escalation),
    (frozenset({"alerting"}), _routes),
    (frozenset({"alerting", "slices"}), _mutes),
)
