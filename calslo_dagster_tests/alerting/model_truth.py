"""What is really wrong, and what is to be seen of it."""

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from calslo_dagster.alerting.model import Finding, Kind, Severity, Signal, Subject
from calslo_dagster_tests.alerting.world import MINUTE

PARENT, CHILD = "score_range", "ece_bound"
SUBJECTS: Final = tuple(
    Subject(Kind.BREACH, name, slice_name, "fraud", "prod")
    for name, slice_name in ((CHILD, "country=de"), (CHILD, "country=fr"), ("weekly_drift", "*"), (PARENT, "*"))
)
_FINDING: Final = Finding(0.08, reason="ECE is high.")


@dataclass(frozen=True)
class Trouble:
    """A breach; `opened_at` is None while too few windows have shown it."""

    source: str
    since: datetime
    opened_at: datetime | None
    severity: Severity


@dataclass
class Truth:
    """The breaches that go on, by subject.

    hidden: what subjects that cannot be judged showed last; unseen: those of them that were so at the last look, too;
    dismissed: the troubles that a person has resolved by hand, and when; begun: how many troubles there have been.
    """

    troubles: dict[Subject, Trouble] = field(default_factory=dict)
    hidden: dict[Subject, Trouble | None] = field(default_factory=dict)
    unseen: frozenset[Subject] = frozenset()
    dismissed: dict[str, datetime] = field(default_factory=dict)
    begun: int = 0

    def begin(self, subject: Subject, severity: Severity, now: datetime, *, pending: bool) -> None:
        """Let a breach begin, or let the one that goes on open or change its severity."""
        known = self.troubles.get(subject)
        opened = None if pending else now
        if known is None:
            self.troubles[subject] = Trouble(self._source(), now, opened, severity)
        else:
            self.troubles[subject] = replace(known, severity=severity, opened_at=known.opened_at or opened)

    def begin_anew(self, subject: Subject, *, pending: bool) -> None:
        """Let late data find that the breach began earlier, which makes it another one, or one that is yet to open."""
        known = self.troubles[subject]
        opened = None if pending else known.opened_at
        anew = replace(known, source=self._source(), since=known.since - MINUTE, opened_at=opened)
        resolved_at = self.dismissed.get(known.source)
        if resolved_at and opened and opened <= resolved_at:
            self.dismissed[anew.source] = resolved_at
        self.troubles[subject] = anew

    def end(self, subject: Subject) -> None:
        """Let a breach end."""
        self.troubles.pop(subject, None)

    def hide(self, subject: Subject) -> None:
        """Let it be impossible to judge the subject, or possible again: meanwhile it shows what it showed last."""
        self.unseen -= {subject}
        if subject in self.hidden:
            del self.hidden[subject]
        else:
            self.hidden[subject] = self.troubles.get(subject)

    def dismiss(self, subject: Subject, source: str, now: datetime) -> None:
        """Let a person resolve what was told of the subject by hand, and so all that had opened by then."""
        found = (self.troubles.get(subject), self.hidden.get(subject))
        seen = {source, *(one.source for one in found if one and one.opened_at)}
        self.dismissed |= dict.fromkeys(seen, now)

    @property
    def shown(self) -> dict[Subject, Trouble]:
        """What is to be seen of each subject that is not well."""
        seen = {subject: self.hidden.get(subject, self.troubles.get(subject)) for subject in SUBJECTS}
        return {subject: trouble for subject, trouble in seen.items() if trouble is not None}

    def signals(self) -> tuple[Signal, ...]:
        """Return what is to be seen, as signals."""
        return tuple(
            Signal(subject, one.severity, one.since, one.opened_at, _FINDING, source_id=one.source)
            for subject, one in self.shown.items()
        )

    def _source(self) -> str:
        self.begun += 1
        return f"b{self.begun}"
