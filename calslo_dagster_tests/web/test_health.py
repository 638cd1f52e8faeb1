"""Machines ask whether we live, can serve, and work."""

from datetime import timedelta

from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.logs import START
from calslo_dagster_tests.web.serving import Site


def test_it_is_ready_while_results_are_fresh(site: Site) -> None:
    assert (site.get("/livez").text, site.get("/readyz").text) == ("ok", "ready\n")
    assert site.get("/readyz?verbose").text.startswith(
        "[+]store ok\n[+]schema ok\n[+]evaluation last at 2026-03-07 02:00"
    )

    site.clock["now"] = START + timedelta(days=1)
    answer = site.get("/readyz")
    assert (answer.status_code, "[-]evaluation" in answer.text) == (503, True)
    assert site.get("/livez").status_code == 200


def test_the_deep_look_needs_a_token_and_leaves_nothing_behind(site: Site) -> None:
    assert site.get("/healthz/deep").status_code == 401
    answer = site.call("GET", "/healthz/deep", site.secret(Scope.READ))
    assert (answer.status_code, "[+]write ok" in answer.text) == (200, True)
    assert "web probe" not in site.get("/metrics").text


def test_prometheus_is_told_what_the_board_says(site: Site) -> None:
    text = site.get("/metrics").text
    assert 'calslo_sli_value{model="intent",slice="*",slo="score_range"} 0.5' in text
    assert "calslo_store_up 1.0" in text
