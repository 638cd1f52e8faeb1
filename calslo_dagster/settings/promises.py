"""Apply section `slos` to the SLOs it names, and say which of its entries cannot mean what they say."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

from calslo_dagster.errors import SettingsError
from calslo_dagster.settings.document import Loc, Mistake
from calslo_dagster.settings.matching import unknown_slos
from calslo_dagster.settings.model import Settings
from calslo_dagster.settings.problems import nearest
from calslo_dagster.settings.slos import (
    AggregationName,
    DefinedSlo,
    ModeName,
    OverrideSettings,
    SloSection,
    SloSettings,
)
from calslo_dagster.settings.types import NO_LIMIT, PANE
from calslo_dagster.slo.budget import plan_tiers
from calslo_dagster.slo.changes import Changes, problems, with_settings
from calslo_dagster.slo.declarative import Aggregation, Declaration, declared
from calslo_dagster.slo.model import EVERYTHING, SLO, Cadence, Operator, Override, Severity
from calslo_dagster.slo.parameters import described
from calslo_dagster.slo.registry import Recipe
from calslo_dagster.slo.slices import matches
from calslo_dagster.slo.trials import Mode
from calslo_dagster.slo.windows import DAY, WEEK

# A parameter of this name is the fail limit that the SLO's own arithmetic works with, so `fail` sets it.
_LIMIT_PARAMETER: Final = "limit"
# A parameter of this name is the limit at which the log counts slow events, so both must be one number.
_LATENCY_PARAMETER: Final = "limit_us"
# Metrics in the unit "ratio" that values on either side of 0 to 1 are normal for.
_UNBOUNDED_METRICS: Final = frozenset({"log_loss", "spiegelhalter_z", "mean_bias", "slope", "intercept", "alpha"})
_UPPER: Final = (Operator.AT_MOST, Operator.BELOW)


@dataclass(frozen=True, slots=True)
class Applied:
    """An SLO as the settings want it, with the values of its parameters that are not its own defaults.

    None if the settings cannot be applied, and then the mistakes say why.
    """

    slo: SLO | None
    mistakes: tuple[Mistake, ...] = ()
    values: Mapping[str, object] = field(default_factory=dict)


def applied(settings: Settings, recipe: Recipe) -> Applied:
    """Return the SLO with its section of the settings applied."""
    name, section = recipe.slo.name, settings.slos.named.get(recipe.slo.name, SloSettings())
    loc: Loc = ("slos", name)
    values, mistakes = _parameters(settings, recipe, section)
    try:
        made = recipe.made(values)
    except SettingsError as error:
        mistakes += [(_parameter_loc(loc, section, line), line) for line in str(error).splitlines()]
        made = recipe.slo
    slo = with_settings(made, _changes(section, settings.slos.mode, is_limit_taken=_LIMIT_PARAMETER in values))
    mistakes += [
        (_problem_loc(loc, section, text), text) for text in _problems(slo, is_within_unity=_is_small_ratio(recipe.slo))
    ]
    return Applied(None if mistakes else slo, _told(settings, mistakes), values)


def defined(settings: Settings, index: int) -> Applied:
    """Return the SLO of an entry of `slos.define`."""
    entry, loc = settings.slos.define[index], ("slos", "define", index)
    if entry.name in settings.slos.named:
        text = f"{entry.name} is defined in slos.define; change it there and remove this section"
        return Applied(None, _told(settings, [(("slos", entry.name), text)]))
    try:
        slo = declared(_declaration(entry, entry.mode or settings.slos.mode))
    except SettingsError as error:
        return Applied(None, _told(settings, [((*loc, "metric"), str(error).removeprefix(f"{entry.name}: "))]))
    mistakes = [
        (_problem_loc(loc, entry, text), text) for text in _problems(slo, is_within_unity=_is_bounded(entry, slo))
    ]
    return Applied(None if mistakes else slo, _told(settings, mistakes))


def unknown_names(settings: Settings, names: Iterable[str], others: Iterable[str] = ()) -> tuple[Mistake, ...]:
    """Return a mistake for every name of an SLO that does not exist; `others` may be disabled too."""
    known, section = list(names), settings.slos
    keys = [*known, *SloSection.model_fields]
    found: list[tuple[Loc, str]] = [
        (("slos", name), f"no SLO has this name; {nearest(name, keys)}") for name in section.named if name not in known
    ]
    for index, name in enumerate(section.disable):
        if name not in (*known, *others):
            found.append((("slos", "disable", index), f"no SLO is named {name!r}; {nearest(name, known)}"))
    for index, entry in enumerate(settings.exclusions):
        for pattern in entry.slos:
            if not any(matches(pattern, name) for name in known):
                text = f"{pattern!r} matches no SLO; {nearest(pattern, known)}"
                found.append((("exclusions", index, "slos"), text))
    return _told(settings, (*found, *unknown_slos(settings, known)))


def dead_tiers(settings: Settings, slos: Iterable[SLO]) -> tuple[Mistake, ...]:
    """Return a mistake for every target and every own tier that leaves burn rate alerts unable to fire."""
    tiers, found = settings.burn_tiers(), list[tuple[Loc, str]]()
    fires = {tier.name: "no SLO is measured by the minute" for tier in tiers}
    for slo in slos:
        if slo.cadence is Cadence.WEEKLY or slo.target == 1:
            continue
        plan = plan_tiers(settings.evaluation_step, slo.target, settings.burn.period, tiers)
        fires |= {tier.name: tier.dropped for tier in plan if fires[tier.name]}
        # A coarser step is a choice for backfilled history, which has no use for burn rate alerts.
        if settings.evaluation_step == PANE and plan and all(tier.dropped for tier in plan):
            text = f"no tier of burn rate alerts can fire at this target; {plan[0].name}: {plan[0].dropped}"
            found.append((("slos", slo.name, "target"), text))
    for index, tier in enumerate(settings.burn.tiers or ()):
        if fires[tier.name]:
            found.append((("burn", "tiers", index), f"is of no use to any SLO: {fires[tier.name]}"))
    return _told(settings, found)


def _told(settings: Settings, found: Iterable[tuple[Loc, str]]) -> tuple[Mistake, ...]:
    return tuple(settings.mistake(loc, text) for loc, text in found)


def _parameters(
    settings: Settings, recipe: Recipe, section: SloSettings
) -> tuple[dict[str, Any], list[tuple[Loc, str]]]:
    """Return the parameters to build with, and those that contradict other keys."""
    names = {p.name for p in described(recipe.parameters)} if recipe.parameters else set[str]()
    values, loc, found = dict(section.parameters), ("slos", recipe.slo.name, "parameters"), list[tuple[Loc, str]]()
    fail = section.fail if _LIMIT_PARAMETER in names and isinstance(section.fail, float) else None
    if fail is not None and values.setdefault(_LIMIT_PARAMETER, fail) != fail:
        found.append(((*loc, _LIMIT_PARAMETER), f"says something else than fail, {fail:g}; keep one of them"))
    if _LATENCY_PARAMETER in names:
        limit = float(settings.latency_limit_us)
        if values.setdefault(_LATENCY_PARAMETER, limit) != limit:
            text = (
                f"the log counts slow events at latency_limit_us, {limit:g}; set that key instead and remove this one"
            )
            found.append(((*loc, _LATENCY_PARAMETER), text))
    return values, found


def _changes(section: SloSettings, default: ModeName, *, is_limit_taken: bool) -> Changes:
    warn = section.warn
    return Changes(
        fail=None if is_limit_taken else section.fail,
        warn=None if isinstance(warn, str) else warn,
        no_warning=warn == NO_LIMIT,
        window=section.window,
        min_events=section.min_events,
        target=section.target,
        open_after=section.open_after,
        open_within=section.open_within,
        close_after=section.close_after,
        slices=section.slices,
        owner=section.owner,
        severity=Severity(section.severity) if section.severity else None,
        runbook=section.runbook,
        overrides=_overrides(section.overrides),
        mode=Mode(section.mode or default),
    )


def _overrides(given: Iterable[OverrideSettings]) -> tuple[Override, ...]:
    return tuple(Override(fail=o.fail, warn=o.warn, slices=o.slices, models=o.models) for o in given)


def _declaration(entry: DefinedSlo, mode: ModeName) -> Declaration:
    cadence = Cadence(entry.cadence)
    plain: Mapping[str, Any] = {f.name: getattr(entry, f.name) for f in fields(Declaration)}
    return Declaration(
        **{
            **plain,
            "mode": Mode(mode),
            "operator": Operator(entry.operator),
            "severity": Severity(entry.severity),
            "cadence": cadence,
            "window": entry.window or (WEEK if cadence is Cadence.WEEKLY else DAY),
            "aggregation": Aggregation(entry.aggregation),
            "overrides": _overrides(entry.overrides),
        }
    )


def _problems(slo: SLO, *, is_within_unity: bool) -> Iterator[str]:
    yield from (_with_remedy(text.removeprefix(f"{slo.name}: ")) for text in problems(slo))
    if is_within_unity:
        yield from _beyond_unity(slo)


def _with_remedy(text: str) -> str:
    """Return the text of a problem with the share to write where a percentage was written."""
    percent = re.search(r"([0-9.]+) can never be missed: values lie in 0 to 1$", text)
    is_percent = percent is not None and 1 < float(percent[1]) <= 100
    return f"{text}; write {float(percent[1]) / 100:g} for {float(percent[1]):g} %" if percent and is_percent else text


def _is_small_ratio(slo: SLO) -> bool:
    """Whether the value is an error or a change that is promised to stay under a limit between 0 and 1."""
    limit = slo.objective.limit
    return slo.unit == "ratio" and slo.objective.operator in _UPPER and isinstance(limit, float) and 0 < limit < 1


def _is_bounded(entry: DefinedSlo, slo: SLO) -> bool:
    """Whether the value is a ratio that lies strictly between 0 and 1 for every model there is."""
    adds_up = entry.aggregation in (AggregationName.SUM, AggregationName.COUNT)
    return slo.unit == "ratio" and entry.metric not in _UNBOUNDED_METRICS and not adds_up


def _beyond_unity(slo: SLO) -> Iterator[str]:
    """Yield what is wrong with limits that no value between 0 and 1 comes to, or that all of them are past."""
    general = [("", "fail", slo.objective.limit), ("", "warn", slo.objective.warn)]
    own = [(_of(o), name, bound) for o in slo.overrides for name, bound in (("fail", o.fail), ("warn", o.warn))]
    is_upper = slo.objective.operator in _UPPER
    for where, name, bound in (*general, *own):
        if isinstance(bound, tuple | None) or 0 < bound < 1 or slo.objective.operator is Operator.EQUAL:
            continue
        outcome = "can never fire" if (bound >= 1) == is_upper else "would always fire"
        remedy = f"; write {bound / 100:g} for {bound:g} %" if 1 < bound <= 100 else ""
        yield f"the {name} limit{where} is {bound:g}, and values lie between 0 and 1: it {outcome}{remedy}"


def _of(override: Override) -> str:
    return "" if override.slices == EVERYTHING else f" of {override.slices}"


def _parameter_loc(loc: Loc, section: SloSettings, text: str) -> Loc:
    named = next((key for key in section.parameters if repr(key) in text or f".{key} is" in text), None)
    return (*loc, "parameters") if named is None else (*loc, "parameters", named)


def _problem_loc(loc: Loc, section: SloSettings | DefinedSlo, text: str) -> Loc:
    """Return the key that a problem is about: an override whose slices it names, else the first written key in it."""
    for index, override in enumerate(section.overrides):
        if override.slices != EVERYTHING and f"limit of {override.slices}" in text:
            return (*loc, "overrides", index)
    written = [key for key in type(section).model_fields if key in section.model_fields_set]
    places = {key: found.start() for key in written if (found := re.search(rf"\b{key}\b", text))}
    named = min(places, key=lambda key: places[key], default=None)
    if named is None and "limit" in text:
        named = next((key for key in ("overrides", "parameters") if key in written), None)
    return loc if named is None else (*loc, named)
