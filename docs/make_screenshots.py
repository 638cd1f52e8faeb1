"""Make screenshots of every page of the dashboard, in both themes, from a played demo and by the clock of its end."""

import shutil
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import click
import uvicorn
from playwright.sync_api import Browser, sync_playwright

from calslo_dagster.cli.demo import CLOCK_AFTER_END
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.settings import load_settings
from calslo_dagster.store import incidents
from calslo_dagster.web.app import app

FOLDER: Final = Path(__file__).parents[1] / "build" / "screenshots"
# The four that the README shows.
KEPT: Final = Path(__file__).parent / "pictures"
SHOWN: Final = {
    "overview-light": "dashboard.png",
    "slo-dark": "dashboard-slo.png",
    "calibration-light": "dashboard-calibration.png",
    "reports-light": "dashboard-report.png",
}
SIZE: Final = {"width": 1280, "height": 1000}


@click.command()
@click.option("--home", type=click.Path(path_type=Path, exists=True), default=Path(".calslo"), show_default=True)
@click.option("--to", type=click.Path(path_type=Path), default=FOLDER, help="Folder of all screenshots.")
@click.option(
    "--keep/--no-keep", default=True, show_default=True, help="Put the four of the README into docs/pictures."
)
def main(home: Path, to: Path, *, keep: bool) -> None:
    """Make every screenshot from the demo at HOME."""
    to.mkdir(parents=True, exist_ok=True)
    settings = load_settings(home / "calslo.yaml")
    clock = settings.demo_spec(datetime.now(UTC)).end + CLOCK_AFTER_END
    project = LazyProject(settings, now=lambda: clock)
    with project.open().store.read() as session:
        [incident, *_] = incidents.recent(session)
    paths = {
        "overview": "/",
        "slo": "/slos/ece_bound?slice=intent%3Dresearch%2Clanguage%3Den",
        "calibration": "/calibration",
        "drift": "/drift",
        "alerts": "/alerts",
        "alert": f"/alerts/{incident.id}",
        "reports": "/reports",
        "audit": "/audit",
        "settings": "/settings",
        "api": "/api/docs",
    }
    with serving(project) as url, sync_playwright() as playwright:
        names = (shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome"))
        found = playwright.chromium.launch(executable_path=next(filter(None, names), None), args=["--no-sandbox"])
        for name, path in paths.items():
            for theme in ("light", "dark"):
                _shoot(found, f"{url}{path}", theme, to / f"{name}-{theme}.png")
            _shoot(found, f"{url}{path}", "light", to / f"{name}-narrow.png", width=420)
        found.close()
    for name, kept in SHOWN.items() if keep else ():
        shutil.copyfile(to / f"{name}.png", KEPT / kept)


def _shoot(browser: Browser, url: str, theme: str, file: Path, *, width: int = SIZE["width"]) -> None:
    page = browser.new_page(viewport={"width": width, "height": SIZE["height"]})
    page.goto(f"{url}{'&' if '?' in url else '?'}theme={theme}")
    page.wait_for_load_state("load")
    page.screenshot(path=file)
    page.close()
    click.echo(file)


@contextmanager
def serving(project: LazyProject) -> Iterator[str]:
    """Serve the project until the block ends."""
    server = uvicorn.Server(uvicorn.Config(app(project.open, project.now), port=0, log_level="error", ws="none"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.02)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


if __name__ == "__main__":
    main()
