"""The page of an SLO: state and cause, course, budget, breaches and evaluations."""

import pytest

from calslo_dagster_tests.web.serving import Site, hidden


def test_it_tells_state_cause_course_breaches_and_evaluations(shown: Site) -> None:
    page = shown.get("/slos/score_range").text

    assert hidden(["Breached", "breached at 2026-03-07", "goes on", "The alert about it", "Window ends"], page) == []
    assert page.count("<td") > 0
    assert "1 of those shown is breached" in page
    assert "<title>2026-03-07 01:00 to 2026-03-07 02:00 UTC: between 0 % and 50 %, last 50 %" in page
    assert "var(--breached)" in page


def test_what_does_not_exist_is_not_found_with_what_does(shown: Site) -> None:
    answer = shown.get("/slos/ece", accept="text/html")
    assert (answer.status_code, "there is no SLO" in answer.text, "ece_bound" in answer.text) == (404, True, True)
    assert shown.get("/slos/score_range?slice=nowhere").status_code == 404
    assert shown.get("/slos/score_range?days=0").status_code == 422


def test_a_card_is_shown_in_frames_of_agreed_sites_only(shown: Site) -> None:
    answer = shown.get("/embed/card/score_range?theme=dark")

    assert (answer.status_code, "Breached" in answer.text) == (200, True)
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]


@pytest.mark.parametrize(
    ("chart", "holds"),
    [
        ("series", ["Breached", "<svg", "var(--breached)", "Next:"]),
        ("budget", ["Breached", "Next:"]),
        ("reliability", ["Breached", "Next:"]),
    ],
)
def test_a_chart_comes_with_its_state_or_says_why_there_is_none(shown: Site, chart: str, holds: list[str]) -> None:
    answer = shown.get(f"/embed/{chart}/score_range?days=7")

    assert (answer.status_code, hidden(holds, answer.text)) == (200, [])
    assert ("<figure" in answer.text) != ('class="notice"' in answer.text)
    assert 'id="live" data-version=' in answer.text
    assert shown.get(f"/embed/{chart}/nothing").status_code == 404
    assert shown.get(f"/embed/{chart}/score_range?days=0").status_code == 422
    assert shown.get("/embed/pie/score_range").status_code == 422
