"""The registry: every SLO that is measured, found by name; built-in ones are discovered, one file each."""

import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any

from calslo_dagster.errors import PluginError, SettingsError
from calslo_dagster.slo import builtin as builtin_package
from calslo_dagster.slo.changes import problems
from calslo_dagster.slo.definition import definition_hash
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.parameters import filled, unknown_name


class Registry:
    """SLOs in order, with unique names and sound definitions."""

    def __init__(self, slos: Iterable[SLO]) -> None:
        self._slos: dict[str, SLO] = {}
        mistakes: list[str] = []
        for slo in slos:
            mistakes += problems(slo)
            if slo.name in self._slos:
                mistakes.append(f"two SLOs are named {slo.name!r}; rename one of them")
            self._slos[slo.name] = slo
        if mistakes:
            raise PluginError("\n".join(mistakes))
        self._hashes = {slo.name: definition_hash(slo) for slo in self}

    def __iter__(self) -> Iterator[SLO]:
        return iter(self._slos.values())

    def __len__(self) -> int:
        return len(self._slos)

    def __contains__(self, name: object) -> bool:
        return name in self._slos

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(self._slos)

    def find(self, name: str) -> SLO:
        """Return the SLO of that name; an unknown name is refused with the nearest one."""
        if name not in self._slos:
            raise SettingsError(unknown_name("SLO", name, self._slos))
        return self._slos[name]

    def hash_of(self, name: str) -> str:
        """Return the hash of the definition of the SLO of that name."""
        return self._hashes[self.find(name).name]


@dataclass(frozen=True, slots=True)
class Recipe:
    """How one module makes its SLO: with its defaults, or from parameters if it has any."""

    slo: SLO
    parameters: type | None = None
    build: Callable[[Any], SLO] | None = None

    def made(self, values: Mapping[str, Any]) -> SLO:
        """Return the SLO built with these parameters, the others at their defaults."""
        if not values:
            return self.slo
        if self.parameters is None or self.build is None:
            raise SettingsError(f"{self.slo.name} has no parameters, but {', '.join(values)} is given")
        return self.build(filled(self.parameters, values, owner=self.slo.name))


def recipe_of(module: ModuleType) -> Recipe:
    """Return the recipe of a module that exports `slo`, and maybe `Parameters` with `build(parameters)`."""
    slo = getattr(module, "slo", None)
    if not isinstance(slo, SLO):
        raise PluginError(f"{module.__name__} exports no SLO; it needs a line `slo = SLO(...)`")
    return Recipe(slo, getattr(module, "Parameters", None), getattr(module, "build", None))


def recipes() -> dict[str, Recipe]:
    """Return the recipes of the built-in SLOs by name, in the order of their names."""
    found = [
        recipe_of(import_module(f"{builtin_package.__name__}.{info.name}"))
        for info in pkgutil.iter_modules(builtin_package.__path__)
    ]
    return {recipe.slo.name: recipe for recipe in sorted(found, key=lambda r: r.slo.name)}


def builtin(parameters: Mapping[str, Mapping[str, Any]] | None = None) -> Registry:
    """Return the built-in SLOs, with these parameters by SLO and name."""
    chosen, known = parameters or {}, recipes()
    unknown = [unknown_name("built-in SLO", name, known) for name in chosen if name not in known]
    if unknown:
        raise SettingsError("\n".join(unknown))
    return Registry(recipe.made(chosen.get(name, {})) for name, recipe in known.items())
