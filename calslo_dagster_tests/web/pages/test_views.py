"""The pages of all views, and their files: the same bytes for buttons, programs and the command line."""

import pytest

from calslo_dagster.exports.render import MEDIA_TYPES, Format
from calslo_dagster.pipeline.views.compose import export
from calslo_dagster.pipeline.views.wanted import View, Wanted
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.web.serving import Site, hidden

PAGES = ("/calibration", "/drift", "/reports", "/audit", "/settings")


@pytest.mark.parametrize("path", PAGES)
def test_each_page_is_there_and_offers_its_files(shown: Site, path: str) -> None:
    page = shown.get(path).text

    assert hidden(['aria-current="page"', "Save as", ".pdf", ".csv", 'id="live"'], page) == []
    assert 'class="state meeting"' not in page or path == "/settings"


@pytest.mark.parametrize("form", Format)
def test_files_are_the_same_for_buttons_programs_and_the_command_line(shown: Site, form: Format) -> None:
    wanted = Wanted(View.SLO, slo="score_range")
    expected = export(shown.project, wanted, form, now=shown.clock["now"])

    button = shown.get(f"/exports/slo.{form}?slo=score_range")
    token = shown.secret(Scope.READ, name=f"reader-{form}")
    program = shown.call("GET", f"/api/v1/exports/slo?slo=score_range&format={form}", token)

    assert (button.status_code, program.status_code) == (200, 200)
    assert button.content == program.content == expected
    assert button.headers["content-type"] == MEDIA_TYPES[form]
    assert button.headers["content-disposition"] == f'attachment; filename="calslo-slo-score-range.{form}"'
    again = shown.get(f"/exports/slo.{form}?slo=score_range", if_none_match=button.headers["etag"])
    assert again.status_code == 304


def test_a_report_is_read_by_its_period(shown: Site) -> None:
    token = shown.secret(Scope.READ, name="reporter")

    found = shown.call("GET", "/api/v1/reports/2026-W09", token)

    assert found.json()["title"] == "Calibration report, 2026-W09"
    assert shown.call("GET", "/api/v1/reports/2026-W99", token).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/exports/nothing.pdf", 422),
        ("/exports/overview.exe", 422),
        ("/exports/slo.json?slo=nothing", 404),
        ("/exports/overview.json?state=fine", 400),
        ("/exports/overview.json?until=2026-03-01T00:00:00", 400),
        ("/exports/overview.csv?table=nothing", 404),
        ("/exports/report.json?period=2030-01", 404),
        ("/reports?period=never", 404),
    ],
)
def test_what_does_not_exist_is_refused_in_words(shown: Site, path: str, status: int) -> None:
    answer = shown.get(path)

    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.json()["detail"]


def test_files_that_browsers_could_run_are_kept_from_it(shown: Site) -> None:
    for form in ("svg", "html"):
        policy = shown.get(f"/exports/alerts.{form}").headers["content-security-policy"]
        assert policy.startswith("sandbox; default-src 'none'")


def test_where_pages_take_a_token_files_do_too(site: Site) -> None:
    changed = site.project.settings.web.model_copy(update={"pages": "token"})
    site.project.settings.__dict__["web"] = changed

    for path in ("/drift", "/exports/overview.json"):
        assert site.get(path).headers["location"].startswith("/sign-in?next="), path
