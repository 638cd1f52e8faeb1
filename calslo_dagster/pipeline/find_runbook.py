"""Find the runbook of an alert: the page that ships with the package, or the copy that the settings point to."""

from pathlib import Path
from typing import Final

from calslo_dagster.alerting.model import Kind
from calslo_dagster.errors import CalsloError
from calslo_dagster.settings import Settings
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.parameters import unknown_name

FOLDER: Final = Path(__file__).parents[1] / "runbooks"
_NAME: Final = "{name}"


def runbook_names() -> tuple[str, ...]:
    """Return the names of the runbooks that ship with the package."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.md")))


def runbook_path(name: str) -> Path:
    """Return where the runbook of this name lies; CalsloError with the nearest name if there is none."""
    names = runbook_names()
    if name not in names:
        raise CalsloError(unknown_name("runbook", name, dict.fromkeys(names)))
    return FOLDER / f"{name}.md"


def runbook_of(kind: str, slo: str) -> str:
    """Return the name of the runbook: a breach has that of its SLO, another alert that of its kind; empty if none."""
    name = slo if kind == Kind.BREACH else kind
    return name if name in runbook_names() else ""


def runbook_url(settings: Settings, kind: str, slo: SLO | None, name: str) -> str:
    """Return where the runbook can be read in a browser: at the SLO's own address for a breach, else at the copy's."""
    base, own = settings.alerting.runbook_url, slo.runbook if slo and is_url(slo.runbook) else ""
    if own and (kind == Kind.BREACH or not base):
        return own
    if not base or not name:
        return ""
    return base.replace(_NAME, name) if _NAME in base else f"{base}/{name}.md"


def is_url(text: str) -> bool:
    """Whether the words of an SLO about its runbook are the address of one."""
    return text.startswith(("http://", "https://"))
