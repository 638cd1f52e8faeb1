"""Run Dagster for a person at the terminal: without its log lines, and with its errors as ours.

Brings Dagster with it, so commands import it when they run.
"""

import logging
import warnings
from pathlib import Path

import dagster as dg

from calslo_dagster.cli.progress import bar
from calslo_dagster.defs import launch
from calslo_dagster.defs.launch import Days, History, Reached, run_history
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.errors import CalsloError

__all__ = ["Days", "History", "LazyProject", "play", "prepare"]


def prepare(home: Path) -> tuple[Path, Path]:
    """Put the Dagster instance in its place; return its folder and its workspace file."""
    try:
        folder = launch.prepare(home)
    except dg.DagsterError as error:
        raise CalsloError(str(error).strip()) from error
    return folder, launch.write_workspace(folder)


def play(project: LazyProject, history: History) -> list[str]:
    """Recompute the days and what rests on them, with a progress bar; return the ids of the runs."""
    # Neither means anything to the person at the terminal.
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    logging.getLogger("dagster").setLevel(logging.WARNING)
    with bar() as shown:

        def tell(reached: Reached) -> None:
            shown.show(reached.done, reached.total, reached.stage)

        try:
            return run_history(project, history, tell)
        except dg.DagsterError as error:
            raise CalsloError(str(error).strip()) from error
