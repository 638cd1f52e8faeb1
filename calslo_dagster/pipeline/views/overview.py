"""The overview as a document: health, counts, active alerts, and every promise, worst first."""

from collections.abc import Iterable
from typing import Final
from urllib.parse import quote

from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.board import ActiveAlert, Board, Card
from calslo_dagster.reporting.document import (
    Cell,
    Column,
    Document,
    Fact,
    Reader,
    Section,
    Table,
    bound,
    count,
    hidden,
    interval,
    moment,
    number,
    numbers,
    rows_of,
    share,
    slice_cell,
    state,
    text,
)
from calslo_dagster.reporting.states import WORDS

_PEOPLE: Final = Reader.PEOPLE
_PROMISES: Final = (
    Column("state", "State"),
    Column("slo", "SLO"),
    Column("slice", "Slice"),
    Column("model", "model", reader=Reader.PROGRAMS),
    numbers("value", "Value"),
    numbers("low", "low", Reader.PROGRAMS),
    numbers("high", "high", Reader.PROGRAMS),
    numbers("interval", "95 % interval", _PEOPLE),
    numbers("threshold", "Limit"),
    numbers("budget_left", "Budget left"),
    Column("burn", "Burn"),
    Column("reason", "Why"),
    Column("next_step", "Next"),
    *hidden("unit", "verdict", "warn_threshold", "events", "labeled", "since", "window_start", "window_end"),
    *hidden("evaluated_at", "breach_id", "incident_id", "run_id", "definition_hash", "mode", "debiased", "detectable"),
)


def overview(board: Board, wanted: Wanted) -> Document:
    """Return the board as a document."""
    return Document(
        view=wanted.view,
        title=f"Calibration is {board.health.word}",
        lead=(board.health.reason or "All that was measured is within its limits.",),
        state=str(board.health.word),
        as_of=board.evaluated_at,
        filters=wanted.stated,
        sections=(
            Section("counts", "How many stand how", facts=tuple(_counts(board))),
            Section("alerts", "Active alerts", tables=(alerts_table(board.alerts),)),
            Section("promises", "Promises, worst first", tables=(promises(board.cards),)),
        ),
        main="promises",
    )


def _counts(board: Board) -> Iterable[Fact]:
    score = board.health.score
    yield Fact("score", "Health", Cell("–" if score is None else str(score), score), "of 100")
    for one, found in board.counts.items():
        if found:
            yield Fact(str(one), WORDS[one], Cell(f"{found:,}", found, state=str(one)))


def promises(cards: Iterable[Card]) -> Table:
    """Return the cards as a table, in their order."""
    return Table(
        "promises",
        "Promises, worst first",
        _PROMISES,
        rows_of(_row(card) for card in cards),
        caption="Values are of the last window that is complete.",
        empty="No promise matches.",
    )


def _row(card: Card) -> list[Cell]:
    spend = card.budget
    return [
        state(card.state, WORDS[card.state]),
        text(card.slo, path=card_path(card.slo, card.slice)),
        slice_cell(card.slice),
        text(card.model),
        Cell(card.shown_value, card.value),
        number(card.low),
        number(card.high),
        interval(card.low, card.high, card.unit),
        bound(card.threshold, card.unit),
        share(spend.left_ratio) if spend and spend.left_ratio is not None else count(spend.left if spend else None),
        text(card.burn),
        text(card.reason),
        text(card.next_step),
        text(card.unit),
        text(card.verdict),
        bound(card.warn_threshold, card.unit),
        count(card.events),
        count(card.labeled),
        moment(card.since),
        moment(card.window_start),
        moment(card.window_end),
        moment(card.evaluated_at),
        text(card.breach_id),
        text(card.incident_id),
        text(card.run_id),
        text(card.definition_hash),
        text(card.mode),
        number(card.debiased),
        number(card.detectable),
    ]


def alerts_table(found: Iterable[ActiveAlert]) -> Table:
    """Return the incidents that go on as a table, the worst first."""
    columns = (
        Column("state", "State"),
        Column("slo", "About"),
        Column("model", "Model"),
        Column("severity", "Severity"),
        Column("since", "Since (UTC)"),
        numbers("members", "Slices"),
        Column("acked_by", "With"),
        Column("reason", "Why"),
        *hidden("id", "kind", "suppressed_by"),
    )
    rows = [
        [
            text(one.state),
            text(one.slo or one.kind, path=f"/alerts/{one.id}"),
            text(one.model),
            text(one.severity),
            moment(one.since),
            count(one.members),
            text(one.acked_by),
            text(one.reason),
            text(one.id),
            text(one.kind),
            text(one.suppressed_by),
        ]
        for one in found
    ]
    return Table("alerts", "Active alerts", columns, rows_of(rows), empty="None.")


def card_path(slo: str, slice_name: str) -> str:
    """Return the page of an SLO on a slice."""
    return f"/slos/{quote(slo)}?slice={quote(slice_name, safe='')}"
