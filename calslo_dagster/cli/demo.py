"""`calslo demo`: simulate a serving log with scripted incidents and run the whole pipeline on it, through Dagster."""

import logging
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from calslo_dagster.cli.demo_home import Receivers
    from calslo_dagster.settings import Settings

# By Monday morning the last week is over, its labels are there and its windows are final.
CLOCK_AFTER_END: Final = timedelta(hours=7)
DAYS: Final = 14
EVENTS_PER_DAY: Final = 92_000


@click.command()
@click.option("--days", type=click.IntRange(14, 400), help=f"Days to simulate.  [default: {DAYS}]")
@click.option("--events-per-day", type=click.IntRange(1_000), help=f"Predictions a day.  [default: {EVENTS_PER_DAY:,}]")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(".calslo"),
    envvar="CALSLO_HOME",
    show_default=True,
    help="Folder of everything that the demo writes.",
)
@click.option("--slack-webhook", help="Send the alerts to this incoming webhook of Slack too.")
@click.option("--webhook", help="Send the alerts to this address too, as JSON.")
@click.option("--pagerduty-key", help="Send the alerts to this PagerDuty integration too.")
@click.option("--pagerduty-url", help="Another address of PagerDuty's Events API.")
@click.option(
    "--compare/--no-compare",
    default=True,
    show_default=True,
    help="Replay the snapshots in evidence mode and show both modes on the same incidents; half a minute.",
)
@click.option("--serve", is_flag=True, help="Go on with the Dagster UI, daemon and running schedules.")
def demo(
    days: int | None, events_per_day: int | None, home: Path, *, compare: bool, serve: bool, **receivers: str | None
) -> None:
    """Simulate a serving log with scripted incidents, run the pipeline through Dagster, and compare with the script.

    Playing again in the same home goes on from what is there and gives the same tables.

    \b
    Example: calslo demo --serve
    """
    from calslo_dagster.cli.demo_home import Receivers  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.cli.orchestrator import LazyProject  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.cli.story import tell  # noqa: PLC0415 - keeps --help fast

    file = home / "calslo.yaml"
    if not file.exists():
        _write_settings(file, days or DAYS, events_per_day or EVENTS_PER_DAY, Receivers(**receivers))
    elif any(receivers.values()):
        raise click.UsageError(f"{file} names the channels of this demo; add yours there, or choose another --home")
    settings = _settings_of(file)
    _check_size(file, "days", days, settings.demo.days)
    _check_size(file, "events_per_day", events_per_day, settings.demo.events_per_day)
    clock = settings.demo_spec(datetime.now(UTC)).end + CLOCK_AFTER_END
    project = LazyProject(settings, now=lambda: clock)
    _play(project)
    tell(project, file, compare=compare)
    if serve:
        _serve(settings.home, file)


def _write_settings(file: Path, days: int, events: int, receivers: "Receivers") -> None:
    from calslo_dagster.cli.demo_home import write_home  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.sources.demo.spec import latest_monday  # noqa: PLC0415 - keeps --help fast

    end = latest_monday(datetime.now(UTC)).date()
    write_home(file, first=end - timedelta(days=days), end=end, events=events, receivers=receivers)


def _settings_of(file: Path) -> "Settings":
    """Return the settings of a demo; those of a real log are refused, because a demo must not write to their home."""
    from calslo_dagster.settings import load_settings  # noqa: PLC0415 - keeps --help fast

    # The option has won over the variable; the file lies in the home and says so.
    settings = load_settings(file, {name: text for name, text in os.environ.items() if name != "CALSLO_HOME"})
    if [source.kind for source in settings.logs] != ["demo"]:
        raise click.UsageError(f"{file} has logs of its own; choose another --home for the demo")
    return settings


def _check_size(file: Path, key: str, wanted: int | None, written: int) -> None:
    if wanted not in (None, written):
        flag = key.replace("_", "-")
        raise click.UsageError(
            f"{file} is of a demo with {key}: {written}; leave --{flag} out, or choose another --home"
        )


def _play(project: Any) -> None:
    from calslo_dagster.cli.orchestrator import Days, History, play  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.feed_demo import feed_demo  # noqa: PLC0415 - keeps --help fast
    from calslo_dagster.pipeline.replay_alerts import replay_alerts  # noqa: PLC0415 - keeps --help fast

    now, began = project.now(), time.monotonic()
    spec = project.settings.demo_spec(now)
    click.echo(f"Simulating {spec.days} days of a serving log, {spec.start:%Y-%m-%d} to {spec.end:%Y-%m-%d} ...")
    feed_demo(project.open(), now=now)
    click.echo("Running the pipeline through Dagster, a run for each day and one for the weeks ...")
    # A run per day leaves each day's own numbers on its partition in the UI.
    days = Days(spec.start.date(), (spec.end - timedelta(days=1)).date())
    play(project, History(days, size=1))
    # Two weeks of messages would bury the tables; they are in the alert log.
    logging.getLogger("calslo_dagster.alerts").setLevel(logging.CRITICAL)
    replay_alerts(project.open(), since=spec.start, now=now)
    click.echo(f"Done in {time.monotonic() - began:.0f} s.\n")


def _serve(home: Path, file: Path) -> None:
    """Become `dagster dev` on the demo's instance."""
    from calslo_dagster.defs.launch import write_workspace  # noqa: PLC0415 - keeps --help fast

    folder = Path(os.environ.get("DAGSTER_HOME") or home / "dagster")
    os.environ |= {"CALSLO_CONFIG": str(file.absolute()), "CALSLO_HOME": str(home), "DAGSTER_HOME": str(folder)}
    dagster, workspace = Path(sys.executable).with_name("dagster"), write_workspace(folder)
    click.echo("Opening the Dagster UI on http://127.0.0.1:3000, Ctrl-C ends it.")
    sys.stdout.flush()
    os.execv(dagster, [str(dagster), "dev", "-h", "127.0.0.1", "-w", str(workspace)])  # noqa: S606 - our own venv
