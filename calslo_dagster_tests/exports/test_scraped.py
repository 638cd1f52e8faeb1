"""A real Prometheus scrapes us, and its own API says what it found."""

from itertools import count
from pathlib import Path

from calslo_dagster.exports.counters import Counters
from calslo_dagster.exports.prometheus import Promised, exposition, unavailable
from calslo_dagster.reporting.totals import JudgedDay, Totals
from calslo_dagster.slo.availability import Tally
from calslo_dagster.slo.model import Verdict
from calslo_dagster_tests.exports.boards import NOW, a_board, a_card
from calslo_dagster_tests.exports.test_prometheus_rules import RULES
from calslo_dagster_tests.exports.tools import answered, prometheus, serving
from calslo_dagster_tests.logs import HOUR
from calslo_dagster_tests.slo.samples import an_slo

SLO = an_slo(name="ece_bound")
BUYS = 'intent=buy,language="de"'


def test_values_statuses_exemplars_and_alerts_arrive_and_a_store_that_is_down_is_seen(tmp_path: Path) -> None:
    board = a_board(a_card(slo=SLO), a_card(Verdict.BREACHED, slo=SLO, slice=BUYS, value=0.375, run_id="3f2a91c0"))
    counters, scrapes, is_up = Counters(), count(1), [True]

    def answer(accept: str) -> tuple[bytes, str]:
        if not is_up[0]:
            return unavailable(accept)
        counters.watch(Totals(days=(JudgedDay("ece_bound", NOW.date(), Tally(good=10, bad=next(scrapes))),)))
        return exposition(board, accept, promised=(Promised("ece_bound", 0.99, HOUR),), counters=counters)

    with serving(answer) as target, prometheus(tmp_path, target, RULES) as api:
        [value] = answered(api, "query", _has_two, query="calslo_sli_value")["result"][1:]
        statuses = answered(api, "query", _is_there, query="calslo_status == 1")["result"]
        exemplars = answered(api, "query_exemplars", bool, query='calslo_evaluations_total{outcome="bad"}', **_span())
        alerts = answered(api, "alerts", _is_breached)["alerts"]
        is_up[0] = False
        answered(api, "query", _is_there, query="calslo_store_up == 0")
        answered(api, "query", _is_gone, query="calslo_sli_value")

    assert (value["metric"]["slice"], value["value"][1]) in {("*", "0.02"), (BUYS, "0.375")}
    assert {(one["metric"]["slice"], one["metric"]["status"]) for one in statuses} == {
        ("*", "meeting"),
        (BUYS, "breached"),
    }
    assert not [label for one in statuses for label in one["metric"] if label.startswith("exported_")]
    assert {one["labels"]["run_id"] for found in exemplars for one in found["exemplars"]} == {"3f2a91c0"}
    assert [one["labels"]["slice"] for one in alerts if one["labels"]["alertname"] == "CalsloBreached"] == [BUYS]


def _span() -> dict[str, str]:
    return {"start": "2020-01-01T00:00:00Z", "end": "2099-01-01T00:00:00Z"}


def _has_two(data: dict[str, list[object]]) -> bool:
    return len(data["result"]) == 2


def _is_there(data: dict[str, list[object]]) -> bool:
    return bool(data["result"])


def _is_gone(data: dict[str, list[object]]) -> bool:
    return not data["result"]


def _is_breached(data: dict[str, list[dict[str, dict[str, str]]]]) -> bool:
    return any(one["labels"]["alertname"] == "CalsloBreached" for one in data["alerts"])
