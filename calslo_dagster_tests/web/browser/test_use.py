"""People at work: without JavaScript, by the keyboard alone, and while things change."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from calslo_dagster.slo.model import Verdict
from calslo_dagster.store.api_tokens import Scope
from calslo_dagster_tests.logs import HOUR, START
from calslo_dagster_tests.pipeline.courses import measured, store
from calslo_dagster_tests.web.browser.test_pages import opened
from calslo_dagster_tests.web.serving import Site, serving
from calslo_dagster_tests.web.standing import incident_of, record_of, with_incident


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """Yield an application with one open incident, for tests that answer it."""
    project = with_incident(tmp_path, "", {})
    with project.store, serving(project, START + timedelta(hours=2, minutes=5)) as running:
        yield running


def signed_in(page: Page, site: Site) -> None:
    page.goto("/sign-in?next=/alerts")
    page.get_by_label("Token").fill(site.secret(Scope.READ, Scope.ALERTS))
    page.get_by_role("button", name="Sign in").press("Enter")
    expect(page.get_by_role("heading", name="Alerts")).to_be_visible()


def test_without_javascript_filters_and_answers_work(browser: Browser, site: Site) -> None:
    with opened(browser, site, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_label("State").select_option("breached")
        page.get_by_role("button", name="Show").click()
        assert "state=breached" in page.url
        assert page.locator("tbody th a").count() == 1
        signed_in(page, site)
        page.goto(f"/alerts/{incident_of(site.project).id}")
        page.get_by_label("Note").first.fill("I look")
        page.get_by_role("button", name="Acknowledge").click()
        assert "is acknowledged by ada" in page.locator("#said").inner_text()
        page.goto("/slos/score_range")
        page.get_by_label("Time range").select_option("28")
        page.get_by_role("button", name="Show").click()
        assert "days=28" in page.url
    assert record_of(site.project, "acked")[0].reason.endswith("I look")


def test_the_keyboard_reaches_everything_and_shows_where_it_is(browser: Browser, site: Site) -> None:
    with opened(browser, site) as page:
        page.goto("/")
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.className") == "skip"
        page.keyboard.press("Enter")
        assert page.evaluate("document.activeElement.id") == "main"
        page.goto("/")
        wanted = page.locator(
            "a[href]:visible, button:visible, input:visible, select:visible, [tabindex='0']:visible"
        ).count()
        reached, seen = 0, list[bool]()
        for _ in range(wanted + 5):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement === document.body"):
                break
            reached += 1
            seen.append(page.evaluate("getComputedStyle(document.activeElement).outlineStyle !== 'none'"))
    assert reached >= wanted
    assert all(seen)


def test_whoever_acknowledges_by_the_keyboard_is_told_where_they_are(browser: Browser, site: Site) -> None:
    with opened(browser, site) as page:
        signed_in(page, site)
        page.goto(f"/alerts/{incident_of(site.project).id}")
        page.get_by_role("button", name="Acknowledge").focus()
        page.keyboard.press("Enter")
        expect(page.locator("#said")).to_be_focused()
        expect(page.locator("#said")).to_contain_text("is acknowledged by ada")


def test_what_is_new_shows_by_itself_and_leaves_the_cursor_where_it_was(browser: Browser, site: Site) -> None:
    with opened(browser, site) as page:
        page.goto("/")
        expect(page.locator("#connection")).to_have_text("Live")
        page.locator(".brand").focus()
        end = START + 3 * HOUR
        store(site.project, [measured(end, Verdict.MEETING)], START + 2 * HOUR, end)
        site.clock["now"] = end + timedelta(minutes=1)
        expect(page.locator("tbody tr").first).to_contain_text("1 min ago", timeout=10_000)
        assert page.evaluate("document.activeElement.className") == "brand"


def test_whoever_is_typing_loses_nothing(browser: Browser, site: Site) -> None:
    with opened(browser, site) as page:
        page.goto("/")
        expect(page.locator("#connection")).to_have_text("Live")
        page.get_by_label("Slice").fill("language=e")
        end = START + 3 * HOUR
        store(site.project, [measured(end, Verdict.MEETING)], START + 2 * HOUR, end)
        page.wait_for_timeout(1_500)
        assert page.get_by_label("Slice").input_value() == "language=e"
        assert page.evaluate("document.activeElement.name") == "slice"
