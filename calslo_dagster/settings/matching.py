"""What routes, mutes and templates speak of that does not exist: they would never apply, or apply to everything."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

from calslo_dagster.alerting.labels import ALERT, CLOSED, INCIDENT, components, unknown_label, unknown_value
from calslo_dagster.alerting.matchers import Matcher
from calslo_dagster.alerting.model import Action
from calslo_dagster.settings.document import Loc
from calslo_dagster.settings.model import Settings
from calslo_dagster.settings.problems import nearest

Found = Iterator[tuple[Loc, str]]
_ANY: Final = "all"


def wrong_routes(settings: Settings) -> Found:
    """Yield the matchers of routes that cannot be read, or hold for no incident."""
    for loc, text in _of_routes(settings):
        yield from _mistake(loc, text, INCIDENT, labels_of_alerts(settings))


def wrong_mutes(settings: Settings) -> Found:
    """Yield the matchers of mutes that cannot be read or hold for no alert, and labels that no two alerts share."""
    known = labels_of_alerts(settings)
    for loc, text in _of_mutes(settings):
        yield from _mistake(loc, text, known)
    for index, mute in enumerate(settings.alerting.mutes or ()):
        for number, name in enumerate(mute.equal):
            if wrong := unknown_label(name, known):
                yield ("alerting", "mutes", index, "equal", number), wrong


def wrong_templates(settings: Settings) -> Found:
    """Yield the templates of actions that there are not."""
    known = (_ANY, *map(str, Action))
    for name in settings.alerting.templates:
        if name not in known:
            yield ("alerting", "templates", name), f"no message does this; {nearest(name, known)}"


def unknown_slos(settings: Settings, names: Iterable[str]) -> Found:
    """Yield the matchers that name an SLO which does not exist, nor is a component of ours."""
    known = {"slo": (*names, *components(settings.channels.names))}
    for loc, text in (*_of_routes(settings), *_of_mutes(settings)):
        matcher = _parsed(text)
        if isinstance(matcher, str) or matcher.operator.is_pattern:
            continue
        if wrong := unknown_value(matcher, known):
            yield loc, wrong


def labels_of_alerts(settings: Settings) -> tuple[str, ...]:
    """Return every label that an alert has, those of its slice too."""
    return (*ALERT, *settings.slices.columns)


def _mistake(loc: Loc, text: str, labels: Collection[str], others: Collection[str] = ()) -> Found:
    matcher = _parsed(text)
    if isinstance(matcher, str):
        yield loc, matcher
    elif matcher.label in others and matcher.label not in labels:
        yield loc, f"an incident has no label {matcher.label!r}, only its slices have; match {', '.join(labels)}"
    elif wrong := unknown_label(matcher.label, labels) or unknown_value(matcher, CLOSED):
        yield loc, wrong


def _parsed(text: str) -> Matcher | str:
    """Return the matcher, or why it is none."""
    try:
        return Matcher.parse(text)
    except ValueError as error:
        return str(error)


def _of_routes(settings: Settings) -> Found:
    for index, route in enumerate(settings.alerting.routes):
        yield from ((("alerting", "routes", index, "match", n), text) for n, text in enumerate(route.match))


def _of_mutes(settings: Settings) -> Found:
    for index, mute in enumerate(settings.alerting.mutes or ()):
        for key, texts in (("source", mute.source), ("target", mute.target)):
            yield from ((("alerting", "mutes", index, key, n), text) for n, text in enumerate(texts))
