"""Run Dagster for a person at the terminal: without its log lines, and with its errors as ours.

Brings Dagster with it, so commands import it when they run.
"""

import logging
import warnings

import dagster as dg

from calslo_dagster.cli.progress import progress
from calslo_dagster.defs.launch import Days, History, run_history
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.errors import CalsloError

__all__ = ["Days", "History", "LazyProject", "play"]


def play(project: LazyProject, history: History) -> list[str]:
    """Recompute the days and what rests on them, with a progress bar; return the ids of the runs."""
    # Neither means anything to the person at the terminal.
    warnings.filterwarnings("ignore", category=dg.BetaWarning)
    logging.getLogger("dagster").setLevel(logging.WARNING)
    try:
        return run_history(project, history, progress)
    except dg.DagsterError as error:
        raise CalsloError(str(error).strip()) from error
