"""What is written in section `slos` and changes nothing, because the SLO is in evidence mode."""

from collections.abc import Iterable, Iterator
from typing import Final

from calslo_dagster.settings.document import Loc, Mistake
from calslo_dagster.settings.model import Settings
from calslo_dagster.settings.slos import DefinedSlo, SloSettings
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.trials import Calibration, Mode, Rate
from calslo_dagster.slo.windows import DAY

# Labels are bet against scores event by event, whatever the bound of a window is made of; the least that evidence
# takes comes from the budget of false alarms, and a change of calibration is what a warning is about.
OF_CALIBRATION: Final = frozenset({"warn", "min_events", "c", "bins", "warn_share", "use_manifest"})
OF_RATES: Final = frozenset({"min_events"})


def idle_keys(settings: Settings, slos: Iterable[SLO]) -> Iterator[Mistake]:
    """Yield a note for every key of an SLO in evidence mode that has no say there."""
    found = {slo.name: slo for slo in slos if slo.mode is Mode.EVIDENCE}
    for name, section in settings.slos.named.items():
        if name in found:
            yield from (settings.mistake(loc, text) for loc, text in _idle(found[name], section, ("slos", name)))
    for index, entry in enumerate(settings.slos.define):
        if entry.name in found:
            loc: Loc = ("slos", "define", index)
            yield from (settings.mistake(where, text) for where, text in _idle(found[entry.name], entry, loc))


def ignored_by(slo: SLO) -> frozenset[str]:
    """Return the settings and parameters that evidence mode does not go by."""
    if isinstance(slo.trial, Calibration):
        return OF_CALIBRATION
    return OF_RATES if isinstance(slo.trial, Rate) else frozenset()


def _idle(slo: SLO, section: SloSettings | DefinedSlo, loc: Loc) -> Iterator[tuple[Loc, str]]:
    text = f"evidence mode does not go by it; remove it, or write mode: threshold ({slo.name})"
    ignored = ignored_by(slo)
    for key in sorted(section.model_fields_set & ignored):
        yield (*loc, key), text
    if isinstance(section, SloSettings):
        yield from (((*loc, "parameters", key), text) for key in sorted(section.parameters.keys() & ignored))
    for index, override in enumerate(section.overrides):
        if "warn" in override.model_fields_set & ignored:
            yield (*loc, "overrides", index, "warn"), text
    if ignored and "window" in section.model_fields_set and slo.window < DAY:
        yield (*loc, "window"), "evidence mode looks at a day at least, whatever adds up over it"
