"""A backtest for people: a short summary first, then what differs of each SLO."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.text import Text

from calslo_dagster.alerting.playback import Page
from calslo_dagster.cli.tables import console, narrow_wraps, table
from calslo_dagster.pipeline.compare_courses import (
    BreachPair,
    Comparison,
    Edit,
    Match,
    Seen,
    SliceComparison,
    SloComparison,
    Stand,
    summary,
)
from calslo_dagster.reporting.tables import NOTHING, moment, percent
from calslo_dagster.slo.limits import figure
from calslo_dagster.slo.model import Severity, Verdict

# So many rows of a table are shown; JSON has all.
MOST: Final = 30
_MATCHES: Final = {
    Match.SAME: "same",
    Match.MOVED: "moved",
    Match.ONLY_NOW: "no longer seen",
    Match.ONLY_NEW: "not seen now",
}


def show(found: Comparison, name: str) -> None:
    """Print it; `name` is what the new settings are called."""
    out = console()
    for line in summary(found, name):
        out.print(Text(line, "bold"), soft_wrap=True)
    for note in found.notes:
        out.print(Text(note, "dim"), soft_wrap=True)
    if found.pages_now or found.pages_new:
        out.print()
        _show_pages(out, found)
    for one in found.slos:
        if one.differs:
            out.print()
            _show_slo(out, one)
    alike = [one.slo for one in found.slos if not one.differs]
    if alike and found.differs:
        out.print(f"\nNo difference: {', '.join(alike)}.", soft_wrap=True)


def _show_pages(out: Console, found: Comparison) -> None:
    """Print how many incidents of each SLO and severity would have been told, and how many were held back."""
    keys = {(page.slo, page.kind, page.severity) for page in (*found.pages_now, *found.pages_new)}
    order = list(Severity)
    rows = [
        (slo, kind, severity.value, _told(found.pages_now, key), _told(found.pages_new, key))
        for key in sorted(keys, key=lambda key: (key[0], key[1], -order.index(key[2])))
        for slo, kind, severity in [key]
    ]
    out.print(table("Pages", ("SLO", "about", "severity", "now", "new"), rows))


def _told(pages: Sequence[Page], key: tuple[str, str, Severity]) -> str:
    found = [page.is_told for page in pages if (page.slo, page.kind, page.severity) == key]
    held = len(found) - sum(found)
    return f"{sum(found):,}" + (f" ({held:,} more not told)" if held else "")


def _show_slo(out: Console, one: SloComparison) -> None:
    edited = f" ({', '.join(one.fields)})" if one.fields else ""
    words = {Edit.SAME: "as it is", Edit.CHANGED: f"changed{edited}", Edit.ADDED: "new", Edit.REMOVED: "removed"}
    differing = [slice_ for slice_ in one.slices if slice_.differs]
    header = ("slice", "windows that differ", "breached", "unknown", "availability", "budget left")
    rows = [_slice_row(slice_) for slice_ in differing[:MOST]]
    title = f"{one.slo}: {words[one.edit]}{_rest(len(differing))}"
    out.print(table(title, header, rows, wraps=narrow_wraps(out, header)) if rows else Text(title, "bold"))
    breaches = [(slice_.slice, pair) for slice_ in one.slices for pair in slice_.breaches]
    header = ("slice", "breach", "now", "peak", "new", "peak then")
    cells = [_breach_row(name, pair, one.unit) for name, pair in breaches if pair.match is not Match.SAME]
    if cells:
        title = f"Breaches of {one.slo} that differ, {len(breaches) - len(cells):,} are the same{_rest(len(cells))}"
        out.print(table(title, header, cells[:MOST], wraps=narrow_wraps(out, header)))


def _rest(count: int) -> str:
    return f"; the first {MOST} of {count:,}, --format json has all" if count > MOST else ""


def _slice_row(one: SliceComparison) -> tuple[str, ...]:
    return (
        one.slice,
        ", ".join(_shifts(one)) or NOTHING,
        _both(one, lambda stand: f"{stand.verdicts.get(Verdict.BREACHED, 0):,}"),
        _both(one, lambda stand: f"{stand.tally.unknown:,}"),
        _both(one, lambda stand: percent(stand.tally.observed)),
        _both(one, lambda stand: f"{stand.budget.left:,} of {stand.budget.allowed:,}"),
    )


def _shifts(one: SliceComparison) -> Iterator[str]:
    counts: dict[tuple[str, str], int] = {}
    for shift in one.shifts:
        key = (shift.before or "not measured", shift.after or "not measured")
        counts[key] = counts.get(key, 0) + shift.windows
    yield from (f"{n:,} {before} -> {after}" for (before, after), n in counts.items())


def _both(one: SliceComparison, told: Callable[[Stand], str]) -> str:
    now, new = (told(stand) if stand else NOTHING for stand in (one.now, one.new))
    return now if now == new else f"{now} -> {new}"


def _breach_row(name: str, pair: BreachPair, unit: str) -> tuple[str, ...]:
    spans = [cell for seen in (pair.now, pair.new) for cell in _seen(seen, unit)]
    return (name, _MATCHES[pair.match], *spans)


def _seen(seen: Seen | None, unit: str) -> tuple[str, str]:
    if seen is None:
        return NOTHING, NOTHING
    one = seen.episode
    end = moment(one.recovery) if one.recovery else "goes on"
    return f"{moment(one.onset)} to {end}", NOTHING if one.peak is None else figure(one.peak, unit)
