"""Alerts: compare what is wrong now with what was known, one subject at a time."""

from collections.abc import Iterator
from dataclasses import replace

from calslo_dagster.alerting.model import Alert, AlertState, Signal, identity
from calslo_dagster.alerting.picture import Draft

BY_PERSON = "resolved by "


def observe(draft: Draft) -> None:
    """Begin, refresh and end alerts as the signals say; a subject that cannot be judged keeps its signal and so stays.

    An alert that nothing changes is not written again, so that seeing the same once more has no effect.
    """
    for fingerprint, signal in draft.picture.signal_of.items():
        known = draft.picture.alerts.get(fingerprint)
        seen = _seen(draft, known, signal)
        if seen is not None and seen != known:
            draft.put_alert(seen)
    for alert in list(_gone(draft)):
        reason = draft.picture.endings.get(alert.subject.fingerprint) or _ending(alert)
        draft.put_alert(replace(alert, state=AlertState.RESOLVED, resolved_at=draft.now, reason=reason))


def _seen(draft: Draft, known: Alert | None, signal: Signal) -> Alert | None:
    if known is None or not known.is_open:
        return None if known and _is_dismissed(known, signal) else _begun(draft, known, signal)
    # An alert that fires stays so while late data makes its breach begin anew.
    fires = known.state is AlertState.FIRING or signal.opened_at is not None
    fresh = replace(
        known,
        severity=signal.severity,
        finding=signal.finding,
        source_id=signal.source_id,
        values=signal.values,
        state=AlertState.FIRING if fires else AlertState.PENDING,
        fired_at=known.fired_at or (draft.now if fires else None),
        since=min(known.since, signal.since),
    )
    return fresh if fresh == known else replace(fresh, seen_at=draft.now)


def _is_dismissed(known: Alert, signal: Signal) -> bool:
    """Whether a person has resolved just this trouble; only one that opens later is news again."""
    if not known.reason.startswith(BY_PERSON) or known.resolved_at is None:
        return False
    return signal.source_id == known.source_id or (signal.opened_at or signal.since) <= known.resolved_at


def _begun(draft: Draft, known: Alert | None, signal: Signal) -> Alert:
    episode = known.episode + 1 if known else 1
    fires = signal.opened_at is not None
    return Alert(
        id=identity(signal.subject.fingerprint, str(episode)),
        episode=episode,
        subject=signal.subject,
        state=AlertState.FIRING if fires else AlertState.PENDING,
        severity=signal.severity,
        since=signal.since,
        seen_at=draft.now,
        finding=signal.finding,
        values=signal.values,
        source_id=signal.source_id,
        fired_at=draft.now if fires else None,
    )


def _gone(draft: Draft) -> Iterator[Alert]:
    here = draft.picture.signal_of
    return (a for fingerprint, a in draft.picture.alerts.items() if a.is_open and fingerprint not in here)


def _ending(alert: Alert) -> str:
    return "it is well again" if alert.state is AlertState.FIRING else "it passed before it opened"
