"""Why an incident is not told just now: silences, and alerts that explain it."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from calslo_dagster.alerting.matchers import matches
from calslo_dagster.alerting.model import EVERYTHING, Alert, AlertState, Incident
from calslo_dagster.alerting.rules import Mute, Rules
from calslo_dagster.alerting.silences import Silence, covering

_Key = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suppression:
    """One reason: `by` is a silence's id or a mute's name and the alert that mutes; `words` say it to people."""

    by: str
    words: str
    is_silence: bool


@dataclass(frozen=True)
class Suppressor:
    """Finds what keeps alerts from being told at one instant.

    sources: what mutes, by what it shares with its targets; found when a target is met, as most mutes meet none.
    """

    rules: Rules
    silences: Sequence[Silence]
    now: datetime
    firing: Sequence[Alert]
    sources: dict[Mute, Mapping[_Key, Alert]] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, rules: Rules, silences: Sequence[Silence], alerts: Iterable[Alert], now: datetime) -> "Suppressor":
        """Return the suppressor for these alerts."""
        return cls(rules, silences, now, [alert for alert in alerts if alert.state is AlertState.FIRING])

    def of_alert(self, alert: Alert, incident: Incident) -> Suppression | None:
        """Return why this alert is not told, None if nothing speaks against it."""
        labels = alert.labels | {"severity": str(incident.severity)}
        silence = covering(labels, incident.severity, self.silences, self.now)
        if silence is not None:
            return Suppression(
                silence.id, f"silence {silence.id} by {silence.author}: {silence.reason}", is_silence=True
            )
        return next((found for mute in self.rules.mutes if (found := self._muted(mute, alert, labels))), None)

    def of_incident(self, incident: Incident, members: Sequence[Alert]) -> Suppression | None:
        """Return why nobody is told of the incident: every firing member is suppressed.

        Of several reasons it is always the same one, in whatever order the members come.
        """
        found = list[Suppression]()
        for member in members:
            one = self.of_alert(member, incident)
            if one is None:
                return None
            found.append(one)
        return min(found, key=lambda one: one.by, default=None)

    def _muted(self, mute: Mute, alert: Alert, labels: Mapping[str, str]) -> Suppression | None:
        if not matches(mute.target, labels):
            return None
        if mute not in self.sources:
            self.sources[mute] = _indexed(mute, self.firing)
        for key in _keys(mute, labels):
            source = self.sources[mute].get(key)
            if source and source.incident_id != alert.incident_id and not self._is_mutual(source, alert):
                where = "" if source.subject.slice == EVERYTHING else f" of {source.subject.slice}"
                words = f"{source.subject.name}{where} fires and explains it (mute {mute.name})"
                return Suppression(f"{mute.name}:{source.id}", words, is_silence=False)
        return None

    def _is_mutual(self, source: Alert, alert: Alert) -> bool:
        """Whether the two would mute each other, by whichever mutes, and the alert is the older one, which speaks."""
        if (alert.since, alert.id) > (source.since, source.id):
            return False
        return any(
            matches(mute.source, alert.labels)
            and matches(mute.target, source.labels)
            and _key(mute, alert.labels) in _keys(mute, source.labels)
            for mute in self.rules.mutes
        )


def _indexed(mute: Mute, firing: Iterable[Alert]) -> dict[_Key, Alert]:
    found: dict[_Key, Alert] = {}
    for alert in sorted(firing, key=lambda a: (a.since, a.id)):
        if matches(mute.source, alert.labels):
            found.setdefault(_key(mute, alert.labels), alert)
    return found


def _key(mute: Mute, labels: Mapping[str, str]) -> _Key:
    return tuple(labels.get(name, "") for name in mute.equal)


def _keys(mute: Mute, labels: Mapping[str, str]) -> list[_Key]:
    """Return the keys of what may mute: the same labels, and the same with every slice."""
    keys = [_key(mute, labels)]
    if "slice" in mute.equal:
        keys.append(_key(mute, {**labels, "slice": EVERYTHING}))
    return keys


def firing_members(alerts: Iterable[Alert]) -> Mapping[str, list[Alert]]:
    """Return the firing alerts by incident."""
    members = defaultdict[str, list[Alert]](list)
    for alert in alerts:
        if alert.state is AlertState.FIRING and alert.incident_id:
            members[alert.incident_id].append(alert)
    return members
