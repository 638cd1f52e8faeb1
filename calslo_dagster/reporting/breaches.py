"""The list of breaches: open ones first, then the latest."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from calslo_dagster.reporting.tables import NOTHING, markdown, moment, place
from calslo_dagster.slo.breach import Episode
from calslo_dagster.slo.limits import figure
from calslo_dagster.slo.model import SLO
from calslo_dagster.slo.windows import spoken


@dataclass(frozen=True, slots=True)
class BreachRow:
    """One breach as people read it; `state` is open, closed or provisional."""

    id: str
    slo: str
    title: str
    slice: str
    model: str
    state: str
    onset: datetime
    recovery: datetime | None
    lasted: timedelta
    peak: str
    windows: int
    reason: str


def breach_rows(episodes: Iterable[Episode], slos: Iterable[SLO], now: datetime) -> list[BreachRow]:
    """Return the breaches, open ones first and the latest of each first, without candidates that have not opened."""
    by_name = {slo.name: slo for slo in slos}
    rows = [_row(e, by_name.get(e.slo), now) for e in episodes if e.opened_at is not None]
    return sorted(rows, key=lambda r: (r.recovery is not None, -r.onset.timestamp(), r.slo, r.slice, r.model))


def breaches_markdown(rows: Sequence[BreachRow]) -> str:
    """Return the breaches as a Markdown table, or a sentence if there are none."""
    if not rows:
        return "No breaches.\n"
    header = ("SLO", "slice", "state", "from (UTC)", "to (UTC)", "lasted", "peak", "why")
    return markdown(header, [_cells(row) for row in rows])


def _cells(row: BreachRow) -> tuple[str, ...]:
    times = (moment(row.onset), moment(row.recovery), spoken(row.lasted))
    return (row.slo, place(row.slice, row.model), row.state, *times, row.peak, row.reason)


def _row(episode: Episode, slo: SLO | None, now: datetime) -> BreachRow:
    unit = slo.unit if slo else "ratio"
    return BreachRow(
        id=episode.id,
        slo=episode.slo,
        title=slo.title if slo else episode.slo,
        slice=episode.slice,
        model=episode.model,
        state=_state(episode),
        onset=episode.onset,
        recovery=episode.recovery,
        lasted=episode.lasted(now),
        peak=NOTHING if episode.peak is None else figure(episode.peak, unit),
        windows=episode.counts.breached,
        reason=episode.reason,
    )


def _state(episode: Episode) -> str:
    word = "open" if episode.is_open else "closed"
    return f"{word} (provisional)" if episode.is_provisional else word
