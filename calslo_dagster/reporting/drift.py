"""The weekly drift report: which metric of which slice moved, how certain that is, and why."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from calslo_dagster.reporting.attribution import Attributed, Part
from calslo_dagster.reporting.tables import NOTHING, markdown, percent
from calslo_dagster.slo.drift import LABELS, JudgedChange, about
from calslo_dagster.slo.limits import plain, signed
from calslo_dagster.slo.model import EVERYTHING, Verdict
from calslo_dagster.stats.attribution import Effects, Metric
from calslo_dagster.stats.changes import RULES

_ORDER: Final = (Verdict.BREACHED, Verdict.WARNING, Verdict.UNKNOWN, Verdict.MEETING)
# An effect below this share of all of them is left to the table.
_WORTH_NAMING: Final = 0.1
_MOST_BREACHES: Final = 5
# Whose interval says whether chance alone moves what is attributed.
_JUDGE_OF: Final = {Metric.BRIER: "brier", Metric.BIAS: "bias", Metric.ECE: "centred_ece"}
_NAMES: Final = {Metric.BRIER: "Brier score", Metric.BIAS: "bias", Metric.ECE: "ECE of ten equal-width bins"}
_CAUSES: Final = {
    "outcome": "because outcomes at the same score changed",
    "scores": "because the same slices got other scores",
    "coverage": "because other events got labels",
}


@dataclass(frozen=True, slots=True)
class DriftRow:
    """The change of one metric of one slice from the week before to the week that starts at `week`."""

    week: datetime
    slice: str
    judged: JudgedChange

    @property
    def metric(self) -> str:
        """The name of the metric."""
        return self.judged.delta.metric

    @property
    def is_judged_itself(self) -> bool:
        """Whether the verdict is its own, not taken from another metric."""
        return RULES[self.metric].judged_by == self.metric


def drift_rows(week: datetime, found: Mapping[str, Iterable[JudgedChange]]) -> list[DriftRow]:
    """Return the rows worst first: by verdict, then by the size of the change, unmeasured ones last."""
    rows = [DriftRow(week, name, judged) for name, changes in found.items() for judged in changes]
    return sorted(rows, key=_rank)


def judged_rows(rows: Iterable[DriftRow]) -> list[DriftRow]:
    """Return the rows that have a verdict of their own, in their order."""
    return [row for row in rows if row.is_judged_itself]


def drift_markdown(rows: Sequence[DriftRow], limit: int = 50) -> str:
    """Return the first `limit` rows as a Markdown table, with a line on the rest."""
    header = ("slice", "metric", "verdict", "before", "now", "change", "95 % interval", "events", "why")
    rest = len(rows) - limit
    table = markdown(header, [_cells(row) for row in rows[:limit]])
    return table + (f"\n{rest:,} more rows, none worse than these.\n" if rest > 0 else "")


def drift_story(rows: Sequence[DriftRow], attributed: Iterable[Attributed]) -> list[str]:
    """Return in sentences how many changes have each verdict, what moved all traffic and why, and what is breached."""
    own = judged_rows(rows)
    counts = {verdict: sum(row.judged.verdict is verdict for row in own) for verdict in _ORDER}
    total = ", ".join(f"{count:,} {verdict}" for verdict, count in counts.items())
    told = [f"Of {len(own):,} changes: {total}."] if own else ["No slice has events in either week."]
    told += [_sentence(one, rows) for one in attributed if one.slice == EVERYTHING]
    breached = [row for row in own if row.judged.verdict is Verdict.BREACHED]
    return told + [f"{row.slice}: {LABELS[row.metric]} {row.judged.reason}." for row in breached[:_MOST_BREACHES]]


def drift_attribution_markdown(attributed: Iterable[Attributed]) -> str:
    """Return the causes of each change as a Markdown table; in each line the four causes sum to the change."""
    header = ("slice", "metric", "change", "outcomes", "scores", "mix of slices", "labels", "largest part")
    return markdown(header, [_attributed_cells(one) for one in attributed])


def _rank(row: DriftRow) -> tuple[int, float, str, str]:
    value = row.judged.delta.change.value
    place = _ORDER.index(row.judged.verdict) if value is not None else len(_ORDER)
    return place, -abs(value or 0.0), row.slice, row.metric


def _cells(row: DriftRow) -> tuple[str, ...]:
    delta, change = row.judged.delta, row.judged.delta.change
    ends = [_signed(end) for end in (change.low, change.high) if end is not None]
    return (
        row.slice,
        LABELS[row.metric],
        row.judged.verdict,
        _number(delta.baseline.value),
        _number(delta.current.value),
        NOTHING if change.value is None else _signed(change.value),
        " to ".join(ends) or NOTHING,
        f"{change.events:,}",
        row.judged.reason,
    )


def _number(value: float | None) -> str:
    return NOTHING if value is None else plain(round(value, 6))


def _signed(value: float) -> str:
    # Beyond six decimals there is nothing but rounding.
    return signed(round(value, 6))


def _sentence(one: Attributed, rows: Sequence[DriftRow]) -> str:
    total, name = one.effects.total, _NAMES[one.metric]
    changes = {row.metric: row for row in rows if row.slice == one.slice}
    if total == 0.0:
        return f"The {name} did not move."
    moved = f"The {name} {'rose' if total > 0 else 'fell'} by {abs(total):.4f}"
    if one.metric is Metric.BRIER:
        moved += _split(changes)
    return f"{moved}{_doubt(changes.get(_JUDGE_OF[one.metric]))}: {', '.join(_reasons(one))}."


def _split(changes: Mapping[str, DriftRow]) -> str:
    """Return the parts of the Brier score, of which the excess is judged."""
    parts = [changes[name].judged.delta.change.value for name in ("brier_mix", "brier_excess") if name in changes]
    mix, excess = parts if len(parts) == 2 else (None, None)
    return "" if mix is None or excess is None else f" (mix of scores {mix:+.4f}, excess {excess:+.4f})"


def _doubt(judge: DriftRow | None) -> str:
    """Return what takes the change back if its interval holds 0."""
    if judge is None:
        return ""
    change, needed = judge.judged.delta.change, judge.judged.events_needed
    if change.low is None or change.high is None or not change.low <= 0.0 <= change.high:
        return ""
    more = f"; about {about(needed)} events a week would tell" if needed else ""
    return f", no more than chance does{more}"


def _reasons(one: Attributed) -> list[str]:
    """Return the effects worth naming, the largest first."""
    effects = {name: getattr(one.effects, name) for name in ("outcome", "scores", "mix", "coverage")}
    whole = sum(map(abs, effects.values()))
    named = sorted((n for n in effects if abs(effects[n]) >= _WORTH_NAMING * whole), key=lambda n: -abs(effects[n]))
    return [f"{effects[name]:+.4f} {_CAUSES.get(name) or _mixed(one, effects[name])}" for name in named]


def _mixed(one: Attributed, effect: float) -> str:
    """Return the words for the mix, with the slice that adds most to it."""
    part = max(one.parts, key=lambda p: p.effects.mix * effect, default=None)
    if part is None:
        return "because slices have other shares of the traffic"
    which = "more" if part.share_current > part.share_previous else "less"
    shares = f"{percent(round(part.share_previous, 4))} to {percent(round(part.share_current, 4))}"
    return f"because of other shares of slices, first of all {which} traffic of {part.slice} ({shares})"


def _attributed_cells(one: Attributed) -> tuple[str, ...]:
    e = one.effects
    numbers = (e.total, e.outcome, e.scores, e.mix, e.coverage)
    return (one.slice, _NAMES[one.metric], *map(_signed, numbers), _largest(one.parts))


def _largest(parts: Sequence[Part]) -> str:
    """Return the slice whose own effects are largest, with their sum."""
    if len(parts) < 2:
        return NOTHING
    part = max(parts, key=lambda p: _size(p.effects))
    return f"{part.slice} ({_signed(part.effects.total)})"


def _size(effects: Effects) -> float:
    return abs(effects.mix) + abs(effects.scores) + abs(effects.outcome) + abs(effects.coverage)
