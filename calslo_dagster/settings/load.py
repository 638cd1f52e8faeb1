"""Find, read and check the settings: the only place that reads the settings file and the environment."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import ValidationError

from calslo_dagster.errors import SettingsError
from calslo_dagster.settings.checks import contradictions
from calslo_dagster.settings.document import Document, Loc, Mistake, parse_document
from calslo_dagster.settings.model import Origin, Settings
from calslo_dagster.settings.problems import mistakes_of
from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import Address

FILE_NAME: Final = "calslo.yaml"
# The second one is what `calslo demo` writes, so that its home is found again.
USUAL_PLACES: Final = (FILE_NAME, f".calslo/{FILE_NAME}")
CONFIG_VARIABLE: Final = "CALSLO_CONFIG"
HOME_VARIABLE: Final = "CALSLO_HOME"
STORE_VARIABLE: Final = "CALSLO_STORE_URL"
_UNKNOWN_KEY: Final = "extra_forbidden"
# Sections and lists whose entries are judged one by one.
_ENTRIES: Final = ("slos", "sources", "exclusions", "channels")
_LISTS: Final = (("slos", "define"), ("slos", "modules"), ("slos", "disable"))
_NAMING: Final = (("slos", "define"), ("slos", "modules"))


@dataclass(frozen=True, slots=True)
class Draft:
    """Settings as far as they could be read: what is broken is left out, each mistake is listed.

    `broken` are the sections that a value was left out of; an unknown key leaves its section sound.
    """

    settings: Settings
    mistakes: tuple[Mistake, ...] = ()
    broken: frozenset[str] = frozenset()


def load_settings(path: Path | str | None = None, environ: Mapping[str, str] = os.environ) -> Settings:
    """Return the settings of `path`, of the file that CALSLO_CONFIG names or of a usual place, else the defaults.

    The usual places are ./calslo.yaml and ./.calslo/calslo.yaml, which the demo writes.
    Raises SettingsError with every mistake, one per line.
    """
    draft = draft_settings(path, environ)
    if draft.mistakes:
        raise SettingsError("\n".join(map(str, draft.mistakes)))
    return draft.settings


def draft_settings(path: Path | str | None = None, environ: Mapping[str, str] = os.environ) -> Draft:
    """Return the settings together with everything that is wrong with them, by line."""
    file, missing = _find(path, environ)
    document, mistakes = parse_document(file, _shown(file)) if file else (Document(FILE_NAME), [])
    directory = (file.parent if file else Path()).absolute()
    settings, document, found, broken = _validated(document)
    origin = Origin(document, file.absolute() if file else None, directory, dict(environ))
    settings = _with_environment(settings.adopt(origin), origin)
    if not missing and not mistakes:
        found += [document.mistake(loc, text) for loc, text in contradictions(settings, broken)]
    return Draft(settings, tuple(sorted({*missing, *mistakes, *found})), frozenset(broken))


def _find(path: Path | str | None, environ: Mapping[str, str]) -> tuple[Path | None, list[Mistake]]:
    """Return the file to read; one that was asked for must exist."""
    named = environ.get(CONFIG_VARIABLE, "").strip()
    asked = path if path is not None else named or None
    if asked is None:
        return next((path for path in map(Path, USUAL_PLACES) if path.is_file()), None), []
    file = Path(asked).expanduser()
    if file.is_file():
        return file, []
    why = "is a folder; name the file in it" if file.is_dir() else "does not exist"
    by = f" (named by {CONFIG_VARIABLE})" if path is None else ""
    return None, [Mistake(str(file), 0, "", f"{why}{by}")]


def _shown(file: Path) -> str:
    """Return the path as people find it: relative to the working directory if it lies below it."""
    try:
        return str(file.absolute().relative_to(Path.cwd()))
    except ValueError:
        return str(file)


def _validated(document: Document) -> tuple[Settings, Document, list[Mistake], set[str]]:
    """Return the settings, what of the document they were made from, the mistakes, and the sections with broken parts.

    A list or section is checked as a whole only once its parts are sound, so what is left is read again.
    """
    found, broken = list[Mistake](), set[str]()
    while True:
        readers = dict[int, type[Section]]()
        try:
            return Settings.model_validate(document.data, context=readers), document, found, broken
        except ValidationError as error:
            found += mistakes_of(error, document, readers)
            wrong = error.errors(include_url=False, include_context=False)
            broken |= {str(e["loc"][0]) for e in wrong if e["type"] != _UNKNOWN_KEY}
            document = document.without(
                loc for e in wrong for loc in _spoiled(document.path(e["loc"]), is_key=e["type"] == _UNKNOWN_KEY)
            )


def _spoiled(loc: Loc, *, is_key: bool) -> Iterator[Loc]:
    """Yield what to leave out for a mistake at `loc`: an unknown key alone, else all that is judged by this value.

    With the default in the place of a wrong limit, the next check would complain about a limit that nobody wrote.
    """
    if is_key:
        yield loc
        return
    unit = loc[: 3 if loc[:2] in _LISTS else 2 if loc[0] in _ENTRIES else 1]
    yield unit
    if unit[:2] in _NAMING:
        # Other places may mean the SLO that is now missing, and are not wrong for that.
        yield from (("exclusions",), ("slos", "disable"))
        yield from ((("slos",),) if unit[:2] == ("slos", "modules") else ())


def _with_environment(settings: Settings, origin: Origin) -> Settings:
    """Let CALSLO_HOME and CALSLO_STORE_URL win over the file; the URL stays in the environment, as it may be secret."""
    changes = dict[str, str | Address]()
    home = origin.environ.get(HOME_VARIABLE, "").strip()
    if home:
        changes["stated_home"] = str(Path(home).expanduser().absolute())
    if origin.environ.get(STORE_VARIABLE, "").strip():
        changes["stated_store_url"] = Address(f"env:{STORE_VARIABLE}")
    return settings.model_copy(update=changes)
