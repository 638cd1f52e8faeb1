"""Find what a silence speaks of that no alert has, before somebody relies on it for a night."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import Final

from sqlalchemy.orm import Session

from calslo_dagster.alerting.labels import CLOSED, Vocabulary, components, mistakes_in, unknown_value
from calslo_dagster.alerting.silences import Silence
from calslo_dagster.pipeline.project import Project
from calslo_dagster.settings.matching import labels_of_alerts
from calslo_dagster.store import alerts, manifests, slices

# Who means to be quiet for longer has mistyped, or should exclude the span or disable the SLO.
LONGEST: Final = timedelta(days=30)
_FORCE: Final = " Add --force if it is meant."


def impossible(project: Project, silence: Silence) -> list[str]:
    """Return what no alert can ever have: a label, a kind or a severity that there is not."""
    return mistakes_in(silence.matchers, Vocabulary(labels_of_alerts(project.settings), CLOSED))


def doubtful(session: Session, project: Project, silence: Silence) -> list[str]:
    """Return what is hardly meant: a value that nobody has seen so far, or a very long time."""
    known = _known(session, project)
    wrong = (unknown_value(matcher, known) for matcher in silence.matchers)
    return [f"{text}{_FORCE}" for text in (*filter(None, wrong), *_too_long(silence))]


def _too_long(silence: Silence) -> Iterator[str]:
    length = silence.duration or (silence.ends_at - silence.starts_at if silence.ends_at else timedelta(0))
    if length > LONGEST:
        yield f"it would hold for {length.days} days without a break; {LONGEST.days} are the most that is usual."


def _known(session: Session, project: Project) -> Mapping[str, Sequence[str]]:
    """Return the values that labels have had; of a label of which nothing is known yet, none."""
    seen = alerts.open_ones(session)
    found: dict[str, set[str]] = {
        "slo": {*project.registry.names, *components(project.settings.channels.names)},
        "environment": {project.settings.alerting.environment},
        "model": {*project.models, *(one.model for one in manifests.every(session))},
        "slice": set(),
    }
    for row in slices.every(session):
        found["slice"].add(row.name)
        for column, value in row.values.items():
            found.setdefault(column, set()).add(value or "")
    known = {name for name, values in found.items() if values}
    for name in known:
        found[name] |= {one.labels.get(name, "") for one in seen}
    return {name: sorted(found[name]) for name in known}
