"""The overview says how all stands, worst first, and never shows green what is not known to be good."""

from datetime import timedelta
from pathlib import Path

from calslo_dagster.slo.model import Verdict
from calslo_dagster_tests.logs import HOUR, START, project_at
from calslo_dagster_tests.pipeline.courses import measured, store
from calslo_dagster_tests.web.serving import Site, hidden, serving


def test_what_is_breached_comes_first_with_why_since_and_what_to_do(shown: Site) -> None:
    page = shown.get("/").text

    assert hidden(["Breached", "50 %", "at most 40 %", "Since ", "2026-03-07 01:00 UTC", "<b>Next:</b>"], page) == []
    assert page.index('class="state breached"', page.index("<tbody>")) < page.index(
        'class="state never"', page.index("<tbody>")
    )
    assert 'role="img" aria-label="24 hours: 0 % to 50 %, 1 of 2 breached"' in page


def test_filters_are_links_that_reproduce_the_view(shown: Site) -> None:
    page = shown.get("/?state=breached&slo=score_range").text

    assert "<caption>1 rows" in page
    assert 'href="/?slo=score_range&amp;state=breached" aria-current="true"' in page
    assert "Nothing matches this filter" in shown.get("/?slice=nowhere").text
    assert shown.get("/?state=blue").status_code == 200


def test_results_that_grew_old_are_stale_not_good(site: Site) -> None:
    site.clock["now"] = START + timedelta(days=2)
    page = site.get("/").text

    assert hidden(["Stale", "Not measured since", "2 d ago"], page[page.index("<tbody>") :]) == ["2 d ago"]
    assert 'class="state meeting"' not in page


def test_the_empty_first_start_tells_how_to_begin(tmp_path: Path) -> None:
    project = project_at(tmp_path)
    with project.store, serving(project, START) as site:
        page = site.get("/").text
        assert hidden(["Nothing has been measured yet", "calslo dev", "calslo demo", "Not measured"], page) == []
        assert 'class="state meeting"' not in page
        for path in ("/slos/ece_bound", "/alerts", "/embed/card/ece_bound", "/readyz", "/metrics"):
            assert site.get(path).status_code == 200, path


def test_what_people_and_logs_wrote_is_escaped(shown: Site) -> None:
    page = shown.get('/?slice="><script>alert(1)</script>').text

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_rows_come_in_pages(tmp_path: Path) -> None:
    project = project_at(tmp_path, extra="web: {rows_per_page: 10}")
    rows = [measured(START + HOUR, Verdict.MEETING, slice=f"language=l{n:02}") for n in range(15)]
    store(project, rows, START, START + HOUR)
    with project.store, serving(project, START + HOUR) as site:
        first, last = site.get("/").text, site.get("/?page=9").text

        assert hidden(["page 1 of 3", 'rel="next" href="/?page=2"'], first) == []
        assert hidden(["page 3 of 3", 'rel="prev" href="/?page=2"', "l14"], last) == []
        assert site.get("/?page=0").status_code == 422


def test_the_theme_is_chosen_without_a_script(site: Site) -> None:
    assert "data-theme" not in site.get("/").text
    answer = site.get("/theme?to=dark&next=/alerts")
    assert (answer.status_code, answer.headers["location"]) == (303, "/alerts")
    assert '<html lang="en" data-theme="dark">' in site.get("/").text
    assert site.get("/theme?to=dark&next=//evil.example").headers["location"] == "/"


def test_a_cold_overview_is_small_and_all_ours(shown: Site) -> None:
    page = shown.client.get("/", headers={"Accept-Encoding": "gzip"})
    linked = {part.split('"')[0] for part in page.text.replace("&amp;", "&").split('="/static/')[1:]}
    sizes = [int(page.headers["content-length"])]
    for name in sorted(linked):
        answer = shown.client.get(f"/static/{name}", headers={"Accept-Encoding": "gzip"})
        assert "immutable" in answer.headers["cache-control"]
        sizes.append(int(answer.headers["content-length"]))

    assert (len(sizes) <= 7, sum(sizes) <= 64 * 1024) == (True, True)
    assert 'src="http' not in page.text
    assert 'rel="stylesheet" href="http' not in page.text
