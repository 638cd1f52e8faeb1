"""Replay the stored snapshots under changed SLOs: what would have been judged, breached and paged otherwise."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Final

from calslo_dagster.alerting.model import Finding, Kind, Signal, Subject
from calslo_dagster.alerting.playback import Judged, Page, Spell, play
from calslo_dagster.errors import SettingsError, SnapshotError
from calslo_dagster.pipeline.compare_courses import Comparison, Edit, SloComparison, compared
from calslo_dagster.pipeline.context import context_of
from calslo_dagster.pipeline.judge_span import Told, Trial, bare_days, coarse_days, days_of, judge_span
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_signals import burn_severity
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.pipeline.weigh_evidence import is_weighed
from calslo_dagster.plugins import load_registry
from calslo_dagster.settings import Settings
from calslo_dagster.slo.budget import plan_tiers
from calslo_dagster.slo.course import Course
from calslo_dagster.slo.definition import definition
from calslo_dagster.slo.many import VERDICTS
from calslo_dagster.slo.model import EVERYTHING, JUDGED, SLO
from calslo_dagster.slo.parameters import unknown_name
from calslo_dagster.slo.slices import slice_values
from calslo_dagster.slo.windows import DAY, Window, spoken

# What the snapshots were made by; a backtest does not read the log again, so these stay as they are.
_STANDING: Final = (
    *("stated_home", "stated_store_url", "history_start", "lateness", "label_horizon", "label_policy", "engine"),
    *("sources", "slices", "clamp", "latency_limit_us", "manifests", "retention", "demo"),
)
# Where things lie and how much of the machine is used changes no number.
_OF_NO_EFFECT: Final = frozenset({"stated_home", "stated_store_url", "history_start", "engine", "retention"})
COUNTED: Final = (
    "Pages are the incidents that somebody would have been told of, from breaches and burning budgets, by the alert "
    "rules of either settings: one incident for all slices of an SLO and model. Nobody answers; silences, slices that "
    "cannot be judged and troubles of the pipeline are left out."
)
EDGES: Final = (
    "A breach that goes on when the first day begins is taken to begin there, and budgets burn from there; the last "
    "day counts as far as there are events."
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to replay: days of UTC, the last one included; SLOs by name and slices by shell pattern, none for all."""

    first: date
    last: date
    slos: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()

    @property
    def span(self) -> Window:
        """The days as a span of time."""
        first, last = (datetime.fromisoformat(f"{day}T00:00:00+00:00") for day in (self.first, self.last))
        return Window(first, last + DAY)


@dataclass(frozen=True, slots=True)
class _Side:
    """The project under one of the settings, and its SLOs with their courses."""

    project: Project
    trials: Mapping[str, Trial]
    pages: list[Page] = field(default_factory=list)

    def course(self, slo: str, slice_name: str) -> Course | None:
        trial = self.trials.get(slo)
        return trial.courses.get(slice_name) if trial else None

    def definition(self, slo: str) -> dict[str, Any]:
        """Return what of the SLO bears on verdicts, breaches or pages."""
        trial = self.trials[slo]
        found = trial.context.slo
        matured = {"label_maturity": trial.context.maturity} if is_weighed(found) else {}
        return {**definition(found), **matured, "severity": found.severity, "evaluation_step": trial.grid.step}


def backtest_slos(
    project: Project, settings: Settings, wanted: Wanted, *, now: datetime, told: Told | None = None
) -> Comparison:
    """Return what the new settings would have made of the span, beside what those in force make of it today.

    Both are judged from the stored snapshots, and nothing is stored. Raises SnapshotError for a span without snapshots
    or with snapshots too coarse for the windows, SettingsError for SLOs that neither of the settings has.
    """
    other = proposed(project, settings)
    _check_names(wanted, (*project.registry.names, *other.registry.names))
    before = _Side(project, _trials(project, wanted, now=now))
    after = _Side(other, _trials(other, wanted, now=now, shared=before.trials))
    trials = list({id(trial.courses): trial for side in (after, before) for trial in side.trials.values()}.values())
    bare = _check(project, trials, wanted)
    judge_span(project, trials, wanted.span, slices=wanted.slices, told=told)
    _check_slices(trials, wanted)
    for side in (before, after):
        side.pages.extend(_pages(side, wanted.span.end))
    return Comparison(
        start=wanted.span.start,
        end=wanted.span.end,
        slos=tuple(_slos(before, after)),
        pages_now=tuple(before.pages),
        pages_new=tuple(after.pages),
        notes=(*_notes(project.settings, settings, bare), *_idle(trials), COUNTED, EDGES),
    )


def proposed(project: Project, settings: Settings) -> Project:
    """Return the project under the new settings, of which those that made the snapshots stay as they are."""
    kept = settings.model_copy(update={name: getattr(project.settings, name) for name in _STANDING})
    return replace(project, settings=kept, registry=load_registry(kept))


def _trials(
    project: Project, wanted: Wanted, *, now: datetime, shared: Mapping[str, Trial] | None = None
) -> dict[str, Trial]:
    """Return the SLOs that are wanted; one that the other settings judge in the same way shares its trial."""
    found = {}
    for slo in project.registry:
        if wanted.slos and slo.name not in wanted.slos:
            continue
        trial = Trial.of(context_of(project, slo, now=now, run_id=""), wanted.span)
        other = (shared or {}).get(slo.name)
        is_shared = other is not None and _is_alike(trial, other)
        found[slo.name] = replace(trial, courses=other.courses) if is_shared and other else trial
    return found


def _is_alike(one: Trial, other: Trial) -> bool:
    """Whether both judge every window and find every breach alike."""
    mine, theirs = one.context, other.context
    hashes = mine.provenance.definition_hash == theirs.provenance.definition_hash
    matured = mine.maturity == theirs.maturity
    return hashes and matured and one.grid == other.grid and mine.exclusions == theirs.exclusions


def _check(project: Project, trials: Sequence[Trial], wanted: Wanted) -> list[Window]:
    """Refuse spans that cannot be judged; return the days of a span that can be which no snapshot is of."""
    reach = min([wanted.span.start, *(trial.context.reach(wanted.span).start for trial in trials)])
    with project.engine() as connection:
        snapshots = snapshots_over(project, connection, Window(reach, wanted.span.end))
    bare = bare_days(snapshots, wanted.span)
    if len(bare) == len(days_of(wanted.span)):
        command = f"calslo backfill --from {wanted.first} --to {wanted.last}"
        raise SnapshotError(
            f"there are no snapshots of {_days(bare)}; make them with `{command}`, or choose other days"
        )
    for trial in trials:
        coarse = coarse_days(snapshots, trial.context, wanted.span) if trial.grid.count else []
        if coarse:
            slo, step = trial.context.slo, trial.grid.step
            raise SnapshotError(
                f"{slo.name} needs windows of {spoken(slo.window)}, {spoken(step)} apart, and the snapshots behind "
                f"{_days(coarse)} have been rolled up to wider buckets; begin later with --from, name the other SLOs "
                f"with --slo, or read the log again: `calslo backfill --from {coarse[0].start:%F} --to {wanted.last}`"
            )
    return bare


def _check_names(wanted: Wanted, names: Sequence[str]) -> None:
    for name in wanted.slos:
        if name not in names:
            raise SettingsError(unknown_name("SLO", name, dict.fromkeys(names)))


def _check_slices(trials: Sequence[Trial], wanted: Wanted) -> None:
    known = {name for trial in trials for name in trial.courses}
    if wanted.slices and not known:
        raise SnapshotError(
            f"no slice that was measured from {wanted.first} to {wanted.last} matches {', '.join(wanted.slices)}; "
            "write a name such as country=de, or a shell pattern such as 'country=*'"
        )


def _days(days: Sequence[Window]) -> str:
    """Return the days as runs: `2026-03-01, 2026-03-04 to 2026-03-09`."""
    runs: list[list[datetime]] = []
    for day in days:
        if runs and runs[-1][-1] + DAY == day.start:
            runs[-1].append(day.start)
        else:
            runs.append([day.start])
    return ", ".join(f"{run[0]:%F}" if len(run) == 1 else f"{run[0]:%F} to {run[-1]:%F}" for run in runs)


def _slos(before: _Side, after: _Side) -> Iterator[SloComparison]:
    for name in dict.fromkeys([*before.trials, *after.trials]):
        edit, fields = _edit(before, after, name)
        side = after if name in after.trials else before
        names = {one for each in (before, after) if name in each.trials for one in each.trials[name].courses}
        slices = (compared(name, one, before.course(name, one), after.course(name, one)) for one in sorted(names))
        yield SloComparison(name, side.trials[name].context.slo.unit, edit, fields, tuple(slices))


def _edit(before: _Side, after: _Side, name: str) -> tuple[Edit, tuple[str, ...]]:
    if name not in after.trials:
        return Edit.REMOVED, ()
    if name not in before.trials:
        return Edit.ADDED, ()
    now, new = (_flat(side.definition(name)) for side in (before, after))
    fields = tuple(key for key in {**now, **new} if now.get(key) != new.get(key))
    return (Edit.CHANGED if fields else Edit.SAME), fields


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    """Return the leaves of nested mappings by their dotted path."""
    if not isinstance(value, Mapping) or not value:
        return {path: value}
    return {
        key: leaf
        for name, part in value.items()
        for key, leaf in _flat(part, f"{path}.{name}" if path else str(name)).items()
    }


def _pages(side: _Side, until: datetime) -> tuple[Page, ...]:
    """Return the incidents that the side's alert rules would have made of what was wrong."""
    rules = side.project.settings.alert_rules()
    spells = [spell for trial in side.trials.values() for spell in _spells(side, trial)]
    return play(spells, rules, _judged(side), until=until)


def _spells(side: _Side, trial: Trial) -> Iterator[Spell]:
    settings, slo = side.project.settings, trial.context.slo
    plan = plan_tiers(trial.grid.step, slo.target, settings.burn.period, settings.burn_tiers())
    for name, course in trial.courses.items():
        for one in course.episodes():
            if one.opened_at is not None:
                finding = Finding(value=one.peak, limit=course.limit_at(one.peak_at) if one.peak_at else None)
                signal = _signal(side, slo, Kind.BREACH, name, since=one.onset, model=one.model)
                signal = replace(signal, opened_at=one.opened_at, finding=finding, source_id=one.id)
                yield Spell(signal, one.opened_at, one.closed_at)
        for burned in course.burns(plan):
            signal = _signal(side, slo, Kind.BURN, name, since=burned.start, model="")
            severity = burn_severity(slo, burned.tier.long * trial.grid.step)
            signal = replace(signal, severity=severity, source_id=burned.tier.name)
            yield Spell(signal, burned.start, burned.end)


def _signal(side: _Side, slo: SLO, kind: Kind, name: str, *, since: datetime, model: str) -> Signal:
    subject = Subject(kind, slo.name, name, model, side.project.settings.alerting.environment)
    return Signal(subject, slo.severity, since, since, values=slice_values(name))


def _judged(side: _Side) -> Judged:
    """Return the function that counts the slices of each SLO and model that can tell at an instant."""
    known = {code for code, verdict in enumerate(VERDICTS) if verdict in JUDGED}

    def counted(now: datetime) -> Mapping[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        for name, trial in side.trials.items():
            place = trial.grid.place(now)
            for slice_name, course in trial.courses.items():
                if slice_name != EVERYTHING and 0 <= place < trial.grid.count and course.codes[place] in known:
                    key = (name, course.model_at(now))
                    found[key] = found.get(key, 0) + 1
        return found

    return counted


def _notes(now: Settings, new: Settings, bare: Sequence[Window]) -> Iterator[str]:
    ignored = [n for n in _STANDING if n not in _OF_NO_EFFECT and getattr(now, n) != getattr(new, n)]
    if ignored:
        yield (
            f"Not replayed: {', '.join(ignored)} also differ, but say how the log is read, and the snapshots were made "
            "by the settings in force."
        )
    if bare:
        yield f"There are no snapshots of {_days(bare)}; nothing was measured then."


def _idle(trials: Sequence[Trial]) -> Iterator[str]:
    """Say which SLOs have no window at all in these days, as weekly ones between two Mondays."""
    names = sorted({trial.context.slo.name for trial in trials if not trial.grid.count})
    if names:
        yield f"No window of {', '.join(names)} ends in these days."
