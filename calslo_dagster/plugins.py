"""Load every SLO: the built-in ones, those of the user's modules and entry points, and those the settings declare."""

import linecache
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from calslo_dagster.errors import PluginError, SettingsError
from calslo_dagster.settings import Settings
from calslo_dagster.settings.document import Mistake
from calslo_dagster.settings.promises import applied, dead_tiers, defined, unknown_names
from calslo_dagster.slo.changes import problems
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.parameters import Parameter, described
from calslo_dagster.slo.registry import Recipe, Registry, recipe_of, recipes
from calslo_dagster.slo.trials import AlarmRates, Certain, Mode

ENTRY_POINTS: Final = "calslo_dagster.slos"
BUILT_IN: Final = "built in"
SETTINGS: Final = "settings"
_MODULE_PREFIX: Final = "calslo_user_slos_"


@dataclass(frozen=True, slots=True)
class Found:
    """An SLO before the settings are applied to it, and where it comes from."""

    recipe: Recipe
    origin: str

    @property
    def name(self) -> str:
        """The SLO's name."""
        return self.recipe.slo.name


@dataclass(frozen=True, slots=True)
class Entry:
    """An SLO as it is measured, where it comes from, the parameters it has, and the values that settings gave them."""

    slo: SLO
    origin: str
    parameters: tuple[Parameter, ...] = ()
    chosen: Mapping[str, object] = field(default_factory=dict)


def load_registry(settings: Settings) -> Registry:
    """Return every SLO that is measured: built in, of the user's code, and declared; without the disabled ones.

    Raises PluginError for code that does not load, SettingsError for section `slos`, each with every mistake.
    """
    return Registry(entry.slo for entry in load_entries(settings))


def _sharing(settings: Settings, entries: Sequence[Entry]) -> Iterator[Entry]:
    """Yield the entries, those in evidence mode with equal shares of the false alarms that all of them may have."""
    slos = [entry.slo for entry in entries]
    sharing = [slo.name for slo in slos if slo.mode is Mode.EVIDENCE and not isinstance(slo.trial, Certain)]
    for entry in entries:
        if entry.slo.name in sharing:
            allowed, count = settings.evidence, len(sharing)
            alarms = AlarmRates(allowed.false_breaches / count, allowed.false_warnings / count)
            yield replace(entry, slo=replace(entry.slo, alarms=alarms))
        else:
            yield entry


def load_entries(settings: Settings) -> tuple[Entry, ...]:
    """Return what `load_registry` does, with the origin and the parameters of each SLO."""
    found = found_slos(settings)
    taken = {entry.name: entry.origin for entry in found}
    own = [_entry(settings, entry) for entry in found]
    declared = [_declared(settings, index, taken) for index in range(len(settings.slos.define))]
    names = [*taken, *(entry.name for entry in settings.slos.define)]
    mistakes = [*unknown_names(settings, names, _entry_point_names())]
    mistakes += [mistake for loaded in (*own, *declared) if isinstance(loaded, tuple) for mistake in loaded]
    entries = [loaded for loaded in (*own, *declared) if isinstance(loaded, Entry)]
    measured = tuple(entry for entry in entries if entry.slo.name not in settings.slos.disable)
    mistakes += dead_tiers(settings, (entry.slo for entry in measured))
    if mistakes:
        raise SettingsError("\n".join(map(str, sorted(mistakes))))
    return tuple(_sharing(settings, measured))


def _entry(settings: Settings, found: Found) -> Entry | tuple[Mistake, ...]:
    result = applied(settings, found.recipe)
    if result.slo is None:
        return result.mistakes
    parameters = described(found.recipe.parameters) if found.recipe.parameters else ()
    return Entry(result.slo, found.origin, parameters, result.values)


def _declared(settings: Settings, index: int, taken: Mapping[str, str]) -> Entry | tuple[Mistake, ...]:
    name = settings.slos.define[index].name
    if name in taken:
        text = f"{name!r} is taken ({taken[name]}); choose another name, or give slos.{name} the settings it needs"
        return (settings.mistake(("slos", "define", index, "name"), text),)
    result = defined(settings, index)
    return result.mistakes if result.slo is None else Entry(result.slo, SETTINGS)


def _entry_point_names() -> list[str]:
    return [point.name for point in entry_points(group=ENTRY_POINTS)]


def found_slos(settings: Settings) -> tuple[Found, ...]:
    """Return the built-in SLOs and those of the user's code, as they were written.

    Raises PluginError that names every module and entry point which does not load, and every name that is taken.
    """
    found, troubles = [Found(recipe, BUILT_IN) for recipe in recipes().values()], list[str]()
    for loaded in (*_from_modules(settings), *_from_entry_points(settings)):
        if isinstance(loaded, str):
            troubles.append(loaded)
        else:
            found.append(loaded)
    troubles += _unsound(found)
    if troubles:
        raise PluginError("\n".join(troubles))
    return tuple(found)


def _unsound(found: Iterable[Found]) -> Iterator[str]:
    """Yield what is wrong with definitions from the user's code, and names that two SLOs share."""
    origins = dict[str, str]()
    for entry in found:
        if entry.origin != BUILT_IN:
            yield from (f"{entry.origin}: {problem}" for problem in problems(entry.recipe.slo))
        if entry.name in origins:
            yield f"{entry.origin}: the name {entry.name!r} is taken ({origins[entry.name]}); give the SLO another one"
        origins.setdefault(entry.name, entry.origin)


def _from_modules(settings: Settings) -> Iterator[Found | str]:
    """Yield the SLOs of the modules that the settings name, or why a module gives none."""
    for index, name in enumerate(settings.slos.modules):
        origin = f"module {name}"
        try:
            module = _file_module(settings.path(name), name) if _is_path(name) else _named_module(name)
            yield from _exported(module, origin)
        except PluginError as error:
            yield str(settings.mistake(("slos", "modules", index), f"{origin}: {error}"))


def _from_entry_points(settings: Settings) -> Iterator[Found | str]:
    """Yield the SLOs of installed packages, or why an entry point gives none; a disabled entry point is not loaded."""
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: point.name):
        if point.name in settings.slos.disable:
            continue
        origin = f"entry point {point.name}" + (f" of package {point.dist.name}" if point.dist else "")
        try:
            yield from _exported(_loaded(point), origin)
        except PluginError as error:
            yield f"{origin}: {error}; or write slos.disable: [{point.name}] in the settings"


def _is_path(name: str) -> bool:
    return name.endswith(".py") or "/" in name


def _file_module(path: Path, written: str) -> ModuleType:
    """Return the module in the file.

    Its name is made from the path as the settings write it: two files of one name do not collide, and the definitions
    in it have one hash on every machine.
    """
    if not path.is_file():
        raise PluginError(f"there is no file {path}; write its path relative to the settings file")
    name = f"{_MODULE_PREFIX}{path.stem}_{sha256(written.encode()).hexdigest()[:12]}"
    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise PluginError(f"{path} is no Python file; rename it so that it ends in .py")
    module = module_from_spec(spec)
    # Dataclasses and the hash of a definition look a function's module up by name, and read its file as it is now.
    sys.modules[name] = module
    linecache.checkcache(str(path))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise _broken(error) from error
    return module


def _named_module(name: str) -> ModuleType:
    try:
        return import_module(name)
    except (Exception, SystemExit) as error:
        if isinstance(error, ModuleNotFoundError) and error.name and f"{name}.".startswith(f"{error.name}."):
            raise PluginError(
                "it cannot be imported; install its package, or write the path of its .py file"
            ) from error
        raise _broken(error) from error


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except (Exception, SystemExit) as error:
        raise _broken(error) from error


def _broken(error: BaseException) -> PluginError:
    """Return the error for code that failed on import, with its innermost place."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" ({Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno})" if trace else ""
    return PluginError(f"it fails on import with {type(error).__name__}: {error}{place}; correct it")


def _exported(thing: Any, origin: str) -> Iterator[Found]:
    """Yield the SLOs of a module (`slo` or `slos`), or of an entry point that names an SLO or several."""
    if isinstance(thing, ModuleType):
        slos = getattr(thing, "slos", None)
        if hasattr(thing, "slo"):
            yield Found(recipe_of(thing), origin)
        if slos is None and not hasattr(thing, "slo"):
            raise PluginError("it exports no SLO; it needs a line `slo = SLO(...)` or `slos = [SLO(...), ...]`")
        thing = () if slos is None else slos
    yield from (Found(Recipe(slo), origin) for slo in _several(thing))


def _several(thing: Any) -> tuple[SLO, ...]:
    slos = tuple(thing) if isinstance(thing, Iterable) else (thing,)
    strange = [type(slo).__name__ for slo in slos if not isinstance(slo, SLO)]
    if strange:
        raise PluginError(f"it exports {', '.join(strange)} where an SLO belongs; write `slo = SLO(...)`")
    return slos
