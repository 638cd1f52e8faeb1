"""Make the pictures of docs/pictures from a played demo: its tables, a reliability diagram, and the Dagster UI."""

import io
import os
import re
import shutil
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import click
import screenshot
from diagrams import Panel, reliability_svg
from rich.console import Console
from rich.text import Text

from calslo_dagster.cli.demo import CLOCK_AFTER_END
from calslo_dagster.cli.story import tell
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.pipeline.feed_demo import demo_script
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_snapshots import snapshots_over
from calslo_dagster.settings import load_settings
from calslo_dagster.slo.calibration_table import calibration_table
from calslo_dagster.slo.windows import Window
from calslo_dagster.sources.demo.script import IncidentKind
from calslo_dagster.stats.bins import DEFAULT_BINS
from calslo_dagster.store import measurements

FOLDER: Final = Path(__file__).parent / "pictures"
COLUMNS: Final = 136
DAY: Final = timedelta(days=1)
SHOWN: Final = ("Breaches against the script", "Incidents (")


class Terminal(io.StringIO):
    """Text that is written as for a terminal, colours included."""

    def isatty(self) -> bool:
        """Claim to be one."""
        return True


@click.command()
@click.option("--home", type=click.Path(path_type=Path, exists=True), default=Path(".calslo"), show_default=True)
@click.option("--no-browser", is_flag=True, help="Leave the screenshots of the Dagster UI as they are.")
def main(home: Path, *, no_browser: bool) -> None:
    """Make every picture from the demo at HOME; nothing in it is changed."""
    FOLDER.mkdir(exist_ok=True)
    settings = load_settings(home / "calslo.yaml")
    clock = settings.demo_spec(datetime.now(UTC)).end + CLOCK_AFTER_END
    project = LazyProject(settings, now=lambda: clock)
    _write("demo.svg", table_svg(project, home))
    _write("reliability.svg", incident_svg(project.open(), clock))
    if not no_browser:
        _screenshots(home)


def _write(name: str, text: str) -> None:
    (FOLDER / name).write_text(text, encoding="utf-8")
    click.echo(FOLDER / name)


def table_svg(project: LazyProject, home: Path) -> str:
    """Return the tables of breaches and incidents that `calslo demo` prints, as a picture of a terminal."""
    os.environ |= {"COLUMNS": str(COLUMNS), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    with redirect_stdout(Terminal()) as printed:
        tell(project, home / "calslo.yaml")
    out = Console(record=True, width=COLUMNS, file=io.StringIO())
    out.print(Text.from_ansi("\n\n".join(blocks(printed.getvalue()))), soft_wrap=True)
    picture = out.export_svg(title="calslo demo")
    # The font is fetched from elsewhere otherwise; any monospaced one will do.
    return re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL).replace("Fira Code", "monospace")


def blocks(printed: str) -> list[str]:
    """Return the shown tables and the sentence below the first."""
    parts = printed.split("\n\n")
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", part).strip() for part in parts]
    shown = [index for index, text in enumerate(plain) if text.startswith(SHOWN) or " missed, " in text]
    return [parts[index].strip("\n") for index in shown]


def incident_svg(project: Project, now: datetime) -> str:
    """Return reliability diagrams of one slice, from the day before the calibration shift and the worst day of it."""
    script = demo_script(project.settings, now)
    (incident,) = script.of_kind(IncidentKind.CALIBRATION_SHIFT)
    span, name = script.span(incident), incident.slices[0]
    panels = [_panel(project, name, end) for end in (span.start, span.end)]
    return reliability_svg(f"ece_bound of {name}", panels)


def _panel(project: Project, name: str, end: datetime) -> Panel:
    window = Window(end - DAY, end)
    with project.engine() as connection:
        snapshot = snapshots_over(project, connection, window).window(window)[name]
    with project.store.read() as session:
        rows = measurements.between(session, "ece_bound", start=end - timedelta(seconds=1), end=end, slice_name=name)
    row = next(row for row in rows if row.window_end == end)
    return Panel(row, tuple(calibration_table(snapshot, DEFAULT_BINS)))


def _screenshots(home: Path) -> None:
    """Save the UI of a copy of the demo, brought up to date so that no partition is missing."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "home")
        shutil.copytree(home, copy)
        # It names the folder that was copied; the command writes a new one.
        (copy / "dagster" / "dagster.yaml").unlink()
        today = f"{datetime.now(UTC):%Y-%m-%d}"
        days = ["--from", today, "--to", today, "--config", str(copy / "calslo.yaml")]
        program = str(Path(sys.executable).with_name("calslo"))
        subprocess.run([program, "backfill", *days], check=True)  # noqa: S603 - our own program
        screenshot.lineage(copy, FOLDER / "lineage.png")
        screenshot.asset(copy, "slo/ece_bound", FOLDER / "asset.png")
    click.echo(f"{FOLDER / 'lineage.png'}\n{FOLDER / 'asset.png'}")


if __name__ == "__main__":
    main()
