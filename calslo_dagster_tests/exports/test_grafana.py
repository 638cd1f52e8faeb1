"""The Grafana dashboard can be read by Grafana and asks only for what there is."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from calslo_dagster.exports.grafana import dashboard_json
from calslo_dagster.exports.prometheus import exposition
from calslo_dagster.reporting.states import State
from calslo_dagster_tests.exports.boards import a_board, a_card, an_alert
from calslo_dagster_tests.exports.test_prometheus import PROMISED, counters_of
from calslo_dagster_tests.exports.tools import promtool

DASHBOARD: Final = json.loads(dashboard_json())
PANELS: Final[list[dict[str, Any]]] = DASHBOARD["panels"]
EXPRESSIONS: Final = [
    *(target["expr"] for panel in PANELS for target in panel["targets"]),
    *(one["expr"] for one in DASHBOARD["annotations"]["list"]),
]
# What Grafana itself puts in.
_BUILT_IN: Final = {"__rate_interval", "__interval", "__range"}


def filled(expr: str) -> str:
    """Return the query as Grafana sends it."""
    return re.sub(r"\$\{?\w+\}?", ".*", expr.replace("$__rate_interval", "5m"))


def test_panels_have_ids_of_their_own_and_do_not_overlap() -> None:
    places = [panel["gridPos"] for panel in PANELS]

    assert [panel["id"] for panel in PANELS] == list(range(1, len(PANELS) + 1))
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for a, b in combinations(places, 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert apart or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], (a, b)


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_each_panel_says_what_it_shows_in_which_unit_from_the_chosen_source(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert {source["uid"] for source in (panel["datasource"], *(t["datasource"] for t in panel["targets"]))} == {
        "${datasource}"
    }
    assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def test_every_variable_that_is_used_is_defined_and_every_one_defined_is_used() -> None:
    used = set(re.findall(r"\$\{?(\w+)", dashboard_json())) - _BUILT_IN - {"__all"}

    assert used == {one["name"] for one in DASHBOARD["templating"]["list"]}


def test_queries_name_only_metrics_that_there_are() -> None:
    board = a_board(a_card(), alerts=(an_alert(),))
    text = exposition(board, promised=PROMISED, counters=counters_of())[0].decode()
    known = set(re.findall(r"^(calslo_\w+)(?:\{| )", text, re.MULTILINE))

    assert {name for expr in EXPRESSIONS for name in re.findall(r"calslo_\w+", expr)} <= known


def test_rates_are_taken_over_what_the_scrapes_allow() -> None:
    for expr in EXPRESSIONS:
        assert len(re.findall(r"\b(?:rate|increase|changes)\(", expr)) == expr.count("[$__rate_interval]")


def test_prometheus_understands_every_query(tmp_path: Path) -> None:
    rules = [{"record": f"panel:{n}", "expr": filled(expr)} for n, expr in enumerate(EXPRESSIONS)]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    checked = promtool("check", "rules", tmp_path / "queries.yaml")

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_only_meeting_is_green() -> None:
    [timeline] = [panel for panel in PANELS if panel["type"] == "state-timeline"]
    colors = {
        one["text"]: one["color"] for one in timeline["fieldConfig"]["defaults"]["mappings"][0]["options"].values()
    }

    assert set(colors) == set(State)
    assert [state for state, color in colors.items() if "green" in color] == ["meeting"]


def test_a_link_leads_to_our_own_dashboard_if_there_is_one() -> None:
    assert json.loads(dashboard_json())["links"] == []
    [link] = json.loads(dashboard_json(dashboard_url="https://calslo.example"))["links"]
    assert link["url"] == "https://calslo.example"
