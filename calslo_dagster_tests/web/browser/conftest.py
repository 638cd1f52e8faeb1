"""One browser, and one application over a log with incidents, for all tests here that change nothing."""

import shutil
from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Playwright, sync_playwright

from calslo_dagster.slo.windows import WEEK
from calslo_dagster_tests.logs import LATER, START, days_from, evaluate, evaluate_weeks, project_at, traffic, write
from calslo_dagster_tests.web.serving import Site, serving

EXTRA = """
slices: {columns: [intent]}
web: {requests_per_minute: 1000000, dagster_url: "http://127.0.0.1:3000"}
"""


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Yield a browser: that of the machine, else the one that `.ci/chromium` fetched; without either the test fails."""
    with sync_playwright() as playwright:
        found = _launched(playwright)
        yield found
        found.close()


def _launched(playwright: Playwright) -> Browser:
    names = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
    # As root, and in containers, its own sandbox does not start.
    return playwright.chromium.launch(executable_path=next(filter(None, names), None), args=["--no-sandbox"])


@pytest.fixture(scope="package")
def full(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Yield an application whose log has breaches, drift, alerts and calibrator versions in it."""
    folder, first = tmp_path_factory.mktemp("full"), START - timedelta(days=5)
    found = traffic(first, hours=9 * 24)
    write(folder / "log" / "all.parquet", found.log)
    write(folder / "labels" / "all.parquet", found.labels)
    project = project_at(folder, extra=EXTRA)
    with project.store:
        evaluate(project, days_from(first, 9))
        evaluate_weeks(project, [first, first + WEEK])
        with serving(project, LATER) as running:
            yield running
