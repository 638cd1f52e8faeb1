"""Prometheus is told what the board says, and nothing where the board knows nothing."""

import pytest
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from calslo_dagster.exports.counters import Counters
from calslo_dagster.exports.prometheus import (
    OPENMETRICS,
    Promised,
    dropped_series,
    exposition,
    kept_cards,
    unavailable,
)
from calslo_dagster.reporting.board import Board, card_of
from calslo_dagster.reporting.states import Facts, State
from calslo_dagster.reporting.totals import JudgedDay, Opened, Sent, Totals
from calslo_dagster.slo.availability import Tally
from calslo_dagster.slo.model import Objective, Verdict
from calslo_dagster_tests.exports.boards import ECE, NOW, a_board, a_card, an_alert
from calslo_dagster_tests.exports.tools import promtool
from calslo_dagster_tests.logs import HOUR
from calslo_dagster_tests.slo.samples import an_slo

PROMISED = (Promised("ece", 0.99, HOUR),)
Series = dict[tuple[str, str, str], float]


def counters_of(bad: int = 3) -> Counters:
    counters = Counters()
    counters.watch(Totals(days=(JudgedDay("ece", NOW.date(), Tally(good=5)),)))
    days = (JudgedDay("ece", NOW.date(), Tally(good=9, bad=bad)),)
    counters.watch(Totals(days, (Opened("b1", "ece"),), (Sent(1, "slack", "sent"),)))
    return counters


def full(board: Board, accept: str = "") -> tuple[str, str]:
    body, content_type = exposition(board, accept, promised=PROMISED, counters=counters_of(), seconds=0.25)
    return body.decode(), content_type


def found(text: str) -> dict[str, Metric]:
    return {metric.name: metric for metric in parse_text(text)}


def of_slices(text: str, name: str) -> dict[str, float]:
    """Return the samples of a metric by slice; empty without any."""
    metric = found(text).get(name)
    return {sample.labels["slice"]: sample.value for sample in metric.samples} if metric else {}


def status_of(text: str, slice_name: str = "*") -> list[str]:
    samples = found(text)["calslo_status"].samples
    return [one.labels["status"] for one in samples if one.labels["slice"] == slice_name and one.value == 1]


def test_a_card_becomes_its_numbers() -> None:
    text, _ = full(a_board(a_card(slice="intent=buy")))

    for name, value in {
        "calslo_sli_value": 0.02,
        "calslo_sli_lower_bound": 0.01,
        "calslo_sli_upper_bound": 0.03,
        "calslo_sli_events": 100,
        "calslo_sli_labeled_ratio": 0.8,
        "calslo_objective_threshold": 0.04,
        "calslo_error_budget_remaining_ratio": 0.6,
        "calslo_error_budget_used_windows": 4,
    }.items():
        assert of_slices(text, name) == {"intent=buy": value}
    assert status_of(text, "intent=buy") == ["meeting"]
    assert found(text)["calslo_store_up"].samples[0].value == 1


@pytest.mark.parametrize(
    ("card", "state"),
    [
        (card_of(Facts(ECE), now=NOW), State.NEVER),
        (a_card(facts={"stale_since": NOW - HOUR}), State.STALE),
        (a_card(Verdict.UNKNOWN, value=None, low=None, high=None), State.UNKNOWN),
        (a_card(Verdict.ERROR, value=None, low=None, high=None), State.ERROR),
    ],
)
def test_what_is_not_known_now_has_no_value_but_a_status(card: object, state: State) -> None:
    text, _ = full(a_board(card))  # type: ignore[arg-type]  # each is a Card

    assert of_slices(text, "calslo_sli_value") == {}
    assert of_slices(text, "calslo_sli_lower_bound") == {}
    assert status_of(text) == [state.value]
    assert "NaN" not in text


def test_each_card_has_exactly_one_status() -> None:
    text, _ = full(a_board(a_card(Verdict.BREACHED), a_card(Verdict.WARNING, slice="intent=buy")))

    assert status_of(text) == ["breached"]
    assert status_of(text, "intent=buy") == ["warning"]


def test_a_range_has_a_limit_on_each_side_and_a_floor_is_a_lower_one() -> None:
    within = an_slo(name="within", objective=Objective(within=(0.1, 0.9)))
    least = an_slo(name="least", objective=Objective(at_least=0.5))
    text, _ = full(a_board(a_card(slo=within, threshold=(0.1, 0.9)), a_card(slo=least, threshold=0.5)))

    samples = found(text)["calslo_objective_threshold"].samples

    assert {(s.labels["slo"], s.labels["bound"], s.value) for s in samples} == {
        ("within", "lower", 0.1),
        ("within", "upper", 0.9),
        ("least", "lower", 0.5),
    }


def test_labels_are_never_job_or_instance_and_hold_whatever_a_log_holds() -> None:
    name = 'intent="a\\b"%0A,language=de'
    text, _ = full(a_board(a_card(slice=name)))

    samples = [sample for metric in found(text).values() for sample in metric.samples]
    assert {"job", "instance"}.isdisjoint(label for sample in samples for label in sample.labels)
    assert of_slices(text, "calslo_sli_value") == {name: 0.02}


def test_openmetrics_is_given_to_who_asks_and_names_the_run_behind_a_count() -> None:
    text, content_type = full(a_board(a_card(Verdict.BREACHED, run_id="3f2a91c0")), OPENMETRICS)

    families = parse_openmetrics(text)  # type: ignore[no-untyped-call]  # it has no types yet
    [judged] = [one for one in families if one.name == "calslo_evaluations"]
    exemplars = {s.labels["outcome"]: s.exemplar.labels for s in judged.samples if s.exemplar}
    assert content_type.startswith("application/openmetrics-text")
    assert exemplars == {"bad": {"run_id": "3f2a91c0"}}


@pytest.mark.parametrize(
    "accept", ["", "*/*", "text/html", "application/json;version=x", "text/plain;version=a.b", ";,;;q=\x00"]
)
def test_anybody_else_is_given_plain_text(accept: str) -> None:
    text, content_type = full(a_board(a_card()), accept)

    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert "calslo_sli_value" in text


def test_beyond_the_cap_all_traffic_and_the_worst_slices_stay_and_the_rest_is_counted() -> None:
    cards = [a_card(slice=f"intent=i{n:02d}") for n in range(20)]
    board = a_board(*cards, a_card(), a_card(Verdict.BREACHED, slice="intent=bad"))

    kept = kept_cards(board.cards, 60)

    assert [card.slice for card in kept] == ["*", "intent=bad"]
    assert dropped_series(board, 60) == 20 * 22
    assert dropped_series(board, 22 * 22) == 0
    text = exposition(board, most_series=60)[0].decode()
    assert sum(not line.startswith("#") for line in text.splitlines()) < 60 + 30


def test_without_a_store_there_is_one_line() -> None:
    text = unavailable()[0].decode()

    assert [line for line in text.splitlines() if not line.startswith("#")] == ["calslo_store_up 0.0"]


def test_promtool_finds_nothing_to_complain_about() -> None:
    board = a_board(a_card(Verdict.BREACHED), a_card(slice="intent=buy", warn_threshold=0.03), alerts=(an_alert(),))

    checked = promtool("check", "metrics", given=full(board)[0].encode())

    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
