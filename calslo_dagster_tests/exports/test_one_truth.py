"""Whoever is told, the value and the status of each SLO and slice are those of the board."""

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from calslo_dagster.exports.datadog import gauges, series_bodies, statsd_lines
from calslo_dagster.exports.prometheus import OPENMETRICS, exposition
from calslo_dagster.reporting.board import Board, Card
from calslo_dagster.slo.model import Verdict
from calslo_dagster_tests.exports.boards import NOW, a_board, a_card
from calslo_dagster_tests.logs import HOUR

Told = dict[tuple[str, str], tuple[str, float | None]]
NUMBERS = st.none() | st.floats(allow_nan=False, allow_infinity=False)


@st.composite
def cards(draw: st.DrawFn) -> list[Card]:
    """Draw cards of a few slices with any value, verdict, age and breach."""
    found = []
    for n in range(draw(st.integers(1, 6))):
        facts: dict[str, Any] = {
            "stale_since": draw(st.sampled_from([None, NOW - HOUR])),
            "breach_id": draw(st.sampled_from([None, "b" * 16])),
        }
        value, name = draw(NUMBERS), "*" if n == 0 else f"intent=i{n}"
        found.append(a_card(draw(st.sampled_from(Verdict)), value=value, slice=name, facts=facts))
    return found


def of_board(board: Board) -> Told:
    """Return the status of each slice, and its value where it speaks of now."""
    return {(c.slo, c.slice): (c.state.value, c.value if c.is_current else None) for c in board.cards}


def of_families(families: Any) -> Told:
    values, states = dict[tuple[str, str], float](), dict[tuple[str, str], str]()
    for sample in (sample for family in families for sample in family.samples):
        key = (sample.labels.get("slo", ""), sample.labels.get("slice", ""))
        if sample.name == "calslo_sli_value":
            values[key] = sample.value
        elif sample.name == "calslo_status" and sample.value == 1:
            assert key not in states
            states[key] = sample.labels["status"]
    return {key: (state, values.get(key)) for key, state in states.items()}


def of_tags(found: list[tuple[str, float, list[str]]]) -> Told:
    values, states = dict[tuple[str, str], float](), dict[tuple[str, str], str]()
    for metric, value, tags in found:
        named = dict(tag.split(":", 1) for tag in tags if tag)
        key = (named.get("slo", ""), named.get("slice", "").replace("all", "*"))
        if metric == "calslo.sli.value":
            values[key] = value
        elif metric == "calslo.status":
            states[key] = named["status"]
    return {key: (state, values.get(key)) for key, state in states.items()}


def of_statsd(board: Board) -> Told:
    lines = [line for line in statsd_lines(board) if "|g|#" in line]
    parts = [(line.split(":", 1)[0], line.split(":", 1)[1].split("|g|#")) for line in lines]
    return of_tags([(metric, float(value), tags.split(",")) for metric, (value, tags) in parts])


def of_series(board: Board) -> Told:
    bodies = [json.loads(body)["series"] for body in series_bodies(gauges(board), NOW)]
    return of_tags([(one["metric"], one["points"][0]["value"], one["tags"]) for body in bodies for one in body])


@settings(max_examples=200, deadline=None)
@given(cards())
def test_prometheus_and_datadog_tell_what_the_board_says(found: list[Card]) -> None:
    board = a_board(*found)
    truth = of_board(board)

    assert of_families(parse_text(exposition(board)[0].decode())) == truth
    text = exposition(board, OPENMETRICS)[0].decode()
    assert of_families(parse_openmetrics(text)) == truth  # type: ignore[no-untyped-call]  # it has no types yet
    assert of_statsd(board) == truth
    assert of_series(board) == truth
