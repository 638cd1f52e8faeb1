"""One truth: whoever is asked, the value and the state of each SLO and slice are those that are stored."""

import csv
import io
import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from typing import Any, Final

import pytest
from bs4 import BeautifulSoup
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families as parse_text

from calslo_dagster.exports.datadog import gauges, series_bodies
from calslo_dagster.exports.render import Format, rendered
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_board import read_board
from calslo_dagster.pipeline.views.compose import compose
from calslo_dagster.pipeline.views.wanted import View, Wanted
from calslo_dagster.reporting.states import WORDS, State
from calslo_dagster.slo.limits import figure
from calslo_dagster.slo.model import Measurement, Verdict
from calslo_dagster.store import evaluations, measurements
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.exports.test_one_truth import of_families, of_tags
from calslo_dagster_tests.exports.test_render import pdf_text, squeezed
from calslo_dagster_tests.logs import HOUR, START, project_at
from calslo_dagster_tests.pipeline.courses import SLO, measured
from calslo_dagster_tests.web.serving import Site, serving

END: Final = START + HOUR
STEPS: Final = count(1)
WORD_OF: Final = {word: state for state, word in WORDS.items()}
VALUES: Final = st.none() | st.floats(0, 1) | st.floats(1e-9, 1e6) | st.integers(0, 2).map(float)
# Of each slice its state, its value where one is known, and that value as people read it.
Told = dict[str, tuple[str, float | None]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    extra = "web: {requests_per_minute: 1000000}\n"
    project = project_at(tmp_path_factory.mktemp("truth"), extra=extra)
    with project.store, serving(project, END + timedelta(minutes=5)) as running:
        yield running


@pytest.fixture(scope="module")
def token(site: Site) -> str:
    return site.secret(Scope.READ)


@st.composite
def stores(draw: st.DrawFn) -> list[Measurement]:
    """Draw the measurements of a few slices, with any value, limits and verdict."""
    names = ["*", *(f"intent=i{n},language=l{n % 2}" for n in range(draw(st.integers(0, 4))))]
    rows = []
    for name in names:
        verdict = draw(st.sampled_from(Verdict))
        value = draw(VALUES) if verdict not in (Verdict.UNKNOWN, Verdict.ERROR) else draw(st.none() | VALUES)
        rows.append(measured(END, verdict, slice=name, value=value, threshold=draw(st.floats(0.001, 1)), is_final=True))
    return rows


def put(project: Project, rows: list[Measurement]) -> None:
    """Make these the measurements of the hour, as an evaluation of its own."""
    with project.store.write() as session:
        measurements.replace(session, SLO, rows, start=START, end=END)
        evaluations.put(session, SLO, {END: "d"}, at=END + next(STEPS) * timedelta.resolution)


def of_page(site: Site) -> dict[str, tuple[str, str]]:
    """Return of each slice the state and the value that people read on the overview."""
    found = {}
    for row in BeautifulSoup(site.get(f"/?slo={SLO}").text, "html.parser").select("tbody tr"):
        place = row.select_one("th .slice")
        if place is not None:
            cells = row.find_all("td")
            name = place.get_text().split("·")[0].strip().replace(", ", ",")
            found["*" if name == "everything" else name] = (
                WORD_OF[cells[0].get_text(strip=True)].value,
                str(cells[1].contents[0]).strip(),
            )
    return found


def of_rows(rows: list[dict[str, Any]]) -> Told:
    return {row["slice"]: (row["state"], None if row["value"] in (None, "") else float(row["value"])) for row in rows}


def of_keys(found: dict[tuple[str, str], tuple[str, float | None]]) -> Told:
    return {name: told for (slo, name), told in found.items() if slo == SLO}


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=stores())
def test_page_api_files_and_monitoring_tell_what_is_stored(site: Site, token: str, rows: list[Measurement]) -> None:
    put(site.project, rows)
    now = site.clock["now"]
    board = read_board(site.project, now=now)
    truth = {card.slice: (card.state.value, card.value) for card in board.cards if card.slo == SLO}
    assert {row.slice: (row.verdict.value, row.value) for row in rows} == truth

    answer = site.call("GET", f"/api/v1/board?slo={SLO}", token).json()
    assert of_rows(answer["cards"]) == truth
    document = compose(site.project, Wanted(View.OVERVIEW, slo=SLO), now=now)
    assert of_rows(list(csv.DictReader(io.StringIO(rendered(document, Format.CSV).decode())))) == truth
    whole = json.loads(rendered(document, Format.JSON))
    assert of_rows(whole["sections"][-1]["tables"][0]["rows"]) == truth

    read = {name: (state, "–" if value is None else figure(value, "share")) for name, (state, value) in truth.items()}
    assert of_page(site) == read
    html = BeautifulSoup(rendered(document, Format.HTML), "html.parser")
    cells = [
        [cell.get_text(strip=True) for cell in row.select("th,td")] for row in html.select("#promises ~ div tbody tr")
    ]
    assert {"*" if row[2] == "everything" else row[2]: (WORD_OF[row[0]].value, row[3]) for row in cells} == read
    printed = pdf_text(rendered(document, Format.PDF))
    for name, (state, value) in read.items():
        shown = squeezed(f"{WORDS[State(state)]}{SLO}{'everything' if name == '*' else name}{value}")
        assert shown in printed, (shown, printed)

    assert of_keys(of_families(parse_text(site.get("/metrics").text))) == truth
    bodies = [json.loads(body)["series"] for body in series_bodies(gauges(board), now)]
    tags = of_tags([(one["metric"], one["points"][0]["value"], one["tags"]) for body in bodies for one in body])
    # A comma would end a tag.
    assert of_keys(tags) == {name.replace(",", "_"): told for name, told in truth.items()}
