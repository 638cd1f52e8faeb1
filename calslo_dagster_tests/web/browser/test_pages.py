"""Every page in both themes: nothing from elsewhere, nothing against the policy, nothing that some cannot read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from calslo_dagster.store import incidents
from calslo_dagster_tests.web.serving import Site

RULES = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "resultTypes": ["violations"],
}
# Told by the page itself, wherever it comes from.
WATCH = """window.broken = [];
document.addEventListener('securitypolicyviolation',
    event => window.broken.push(event.violatedDirective + ' ' + event.blockedURI));"""


def paths(site: Site) -> list[str]:
    """Return the address of every page, those of single things among them."""
    with site.project.store.read() as session:
        [incident, *_] = incidents.recent(session)
    fixed = (
        "/",
        "/?state=breached",
        "/?slo=nothing",
        "/calibration",
        "/drift",
        "/reports",
        "/audit",
        "/settings",
        "/alerts",
    )
    own = (
        "/slos/score_range",
        "/slos/ece_bound?slice=intent%3Dbuy&days=28",
        "/slos/weekly_drift",
        f"/alerts/{incident.id}",
    )
    framed = ("/embed/card/score_range", "/embed/series/score_range", "/embed/reliability/ece_bound?slice=intent%3Dbuy")
    return [*fixed, *own, *framed, "/sign-in", "/api/docs", "/nowhere"]


@contextmanager
def opened(browser: Browser, site: Site, **options: Any) -> Iterator[Page]:
    """Yield an empty page of a browser that nobody has used."""
    context = browser.new_context(base_url=site.url, **options)
    page = context.new_page()
    page.set_default_timeout(20_000)
    try:
        yield page
    finally:
        context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_pages_are_for_everybody_and_ask_nobody_else(browser: Browser, full: Site, theme: str) -> None:
    """In each theme, on every page: axe finds nothing, the policy holds, and no other host is asked."""
    wrong, asked, said = list[tuple[str, str, object]](), list[str](), list[str]()
    with opened(browser, full) as page:
        page.add_init_script(WATCH)
        page.on("request", lambda request: asked.append(urlsplit(request.url).netloc))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: said.append(str(error)))
        for path in paths(full):
            asked.clear()
            said.clear()
            page.goto(f"{path}{'&' if '?' in path else '?'}theme={theme}")
            assert page.evaluate("document.documentElement.dataset.theme") == theme, path
            found = Axe().run(page, options=RULES).response["violations"]
            wrong += [(path, one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found]
            wrong += [(path, "policy", text) for text in page.evaluate("window.broken")]
            # A page that is not there answers 404, which the console tells.
            wrong += [(path, "console", text) for text in said if "404" not in text]
            wrong += [(path, "host", host) for host in asked if host != urlsplit(full.url).netloc]
    assert wrong == []


def test_on_a_narrow_screen_only_boxes_made_for_it_scroll_sideways(browser: Browser, full: Site) -> None:
    with opened(browser, full, viewport={"width": 420, "height": 900}) as page:
        widths = {}
        for path in paths(full):
            page.goto(path)
            widths[path] = page.evaluate("document.documentElement.scrollWidth")
    assert {path: width for path, width in widths.items() if width > 420} == {}


def test_the_chart_is_told_in_colours_of_the_theme(browser: Browser, full: Site) -> None:
    """Its texts have the contrast that texts need, which axe cannot tell of drawings."""
    script = """() => [...document.querySelectorAll('figure svg text')].slice(0, 40).map(t => {
        const panel = getComputedStyle(t.closest('.panel')).backgroundColor, ink = getComputedStyle(t).fill;
        const light = c => { const [r, g, b] = c.match(/[\\d.]+/g).map(Number).map(v => v / 255)
            .map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
            return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
        const [a, b] = [light(panel), light(ink)].sort((x, y) => y - x);
        return (a + 0.05) / (b + 0.05); })"""
    with opened(browser, full) as page:
        for theme in ("light", "dark"):
            page.goto(f"/slos/ece_bound?theme={theme}")
            ratios = page.evaluate(script)
            assert len(ratios) > 10
            assert min(ratios) >= 4.5, theme


def test_a_frame_of_ours_is_refused_elsewhere(browser: Browser, full: Site) -> None:
    with opened(browser, full) as page:
        said = list[str]()
        page.on("console", lambda message: said.append(message.text))
        page.set_content(f'<iframe src="{full.url}/embed/card/score_range"></iframe>')
        page.wait_for_timeout(500)
        assert page.frames[-1].query_selector(".panel") is None
    assert any("frame-ancestors" in text for text in said)
