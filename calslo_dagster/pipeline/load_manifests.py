"""Read the calibrator manifests that the settings name into the state store."""

import json
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sqlalchemy.orm import Session

from calslo_dagster.errors import SettingsError, StoreError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.settings import Settings
from calslo_dagster.settings.document import Mistake
from calslo_dagster.slo.model import Manifest
from calslo_dagster.slo.noise import constant_warning
from calslo_dagster.store import manifests

_log: Final = logging.getLogger(__name__)
_REQUIRED: Final = ("version", "model")


def load_manifests(project: Project) -> int:
    """Store what the manifest files say; return how many manifests are new or changed.

    Raises SettingsError naming the file, the entry and the key that cannot be read. A file of the demo that is not
    there yet is no error.
    """
    if mistakes := manifest_mistakes(project.settings):
        raise SettingsError("\n".join(map(str, mistakes)))
    found = {path: read_manifests(path) for path in _readable(project.settings)}
    _refuse_repeated(found)
    with project.store.read() as session:
        known = set(manifests.every(session))
    new = {path: fresh for path, listed in found.items() if (fresh := [one for one in listed if one not in known])}
    if new:
        with project.store.write() as session:
            for path, fresh in new.items():
                _put(session, path, fresh)
        for doubt in manifest_doubts(project.settings):
            _log.warning("%s", doubt)
    return sum(map(len, new.values()))


def manifest_mistakes(settings: Settings) -> list[Mistake]:
    """Return what is wrong with the manifest files, each at the key of the settings that names the file."""
    found, mistakes = dict[Path, Sequence[Manifest]](), list[Mistake]()
    for index, text in enumerate(settings.manifests):
        path = settings.path(text)
        try:
            found[path] = read_manifests(path)
            _refuse_repeated(found)
        except SettingsError as error:
            mistakes.append(settings.mistake(("manifests", index), str(error)))
    return mistakes


def manifest_doubts(settings: Settings) -> list[Mistake]:
    """Return a warning for every c_hat with which the ECE bound promises nothing; the files must be readable."""
    return [
        settings.mistake(("manifests", index), f"{settings.path(text)}: version {one.version}: c_hat {warning}")
        for index, text in enumerate(settings.manifests)
        for one in read_manifests(settings.path(text))
        if one.c_hat is not None and (warning := constant_warning(one.c_hat))
    ]


def _readable(settings: Settings) -> list[Path]:
    demo = settings.demo_folder
    return [path for path in settings.manifest_files if path.exists() or not path.is_relative_to(demo)]


def _refuse_repeated(found: Mapping[Path, Sequence[Manifest]]) -> None:
    """Refuse two entries for one version: which of them counts would change from look to look."""
    seen: dict[tuple[str, str, str], Path] = {}
    for path, listed in found.items():
        for one in listed:
            key = (one.model, one.slice, one.version)
            if key in seen:
                raise SettingsError(
                    f"{path}: version {one.version!r} of model {one.model!r}, slice {one.slice!r}, is there twice, "
                    f"first in {seen[key]}; remove one"
                )
            seen[key] = path


def _put(session: Session, path: Path, fresh: Sequence[Manifest]) -> None:
    try:
        manifests.put(session, fresh)
    except StoreError as error:
        raise SettingsError(f"{path}: {error}") from error


def read_manifests(path: Path) -> list[Manifest]:
    """Return the manifests of a JSON file: `{"manifests": [...]}`, each with the fields of `Manifest`."""
    if not path.is_file():
        raise SettingsError(f"{path}: there is no such file; write its path relative to calslo.yaml, or remove it")
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: no manifest can be read: {error.strerror}") from None
    except ValueError as error:
        # The orchestrator would show the innermost cause alone, which names no file.
        raise SettingsError(f"{path}: no manifest can be read: {error}") from None
    entries = data.get("manifests") if isinstance(data, dict) else None
    if not isinstance(entries, list):
        raise SettingsError(f'{path}: write {{"manifests": [...]}}, a list with one entry per calibrator version')
    return [_manifest(path, place, entry) for place, entry in enumerate(entries)]


def _manifest(path: Path, place: int, entry: Any) -> Manifest:
    where = f"{path}: manifests[{place}]"
    if not isinstance(entry, dict):
        raise SettingsError(f"{where} is {entry!r}; write an object with version and model")
    missing = [name for name in _REQUIRED if not entry.get(name)]
    if missing:
        raise SettingsError(f"{where} lacks {', '.join(missing)}")
    unknown = sorted(set(entry) - set(_READERS))
    if unknown:
        raise SettingsError(f"{where} has unknown keys {', '.join(unknown)}; known are {', '.join(sorted(_READERS))}")
    manifest = _made(where, entry)
    if manifest.edges and len(manifest.fit_counts) != len(manifest.edges) - 1:
        raise SettingsError(
            f"{where} has {len(manifest.edges)} edges and {len(manifest.fit_counts)} fit_counts; "
            "there is one count between two edges"
        )
    return manifest


def _made(where: str, entry: dict[str, Any]) -> Manifest:
    return Manifest(**{name: _read(where, name, value) for name, value in entry.items()})


def _read(where: str, name: str, value: Any) -> Any:
    try:
        return _READERS[name](value)
    except (TypeError, ValueError) as error:
        raise SettingsError(f"{where} has {name} {value!r}: {error}") from None


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    raise ValueError("write text")


def _number(value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    raise ValueError("write a number")


def _or_none(reader: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda value: None if value is None else reader(value)


def _several(value: Any) -> tuple[float, ...]:
    return tuple(map(_number, value or ()))


_READERS: Final[Mapping[str, Callable[[Any], object]]] = {
    "version": _text,
    "model": _text,
    "slice": _text,
    "alpha": _or_none(_number),
    "bins": _or_none(_number),
    "c_hat": _or_none(_number),
    "edges": _several,
    "fit_counts": _several,
    "mask_id": _or_none(_text),
    "fitted_at": _or_none(datetime.fromisoformat),
}
