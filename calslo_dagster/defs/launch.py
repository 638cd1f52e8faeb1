"""Run jobs through Dagster from the command line, on the instance that its UI and daemon use."""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
import yaml

from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.jobs import HISTORY_JOB, SUMMARIES_JOB, WEEKLY_HISTORY_JOB
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.errors import CalsloError

PARTITION_START: Final = "dagster/asset_partition_range_start"
PARTITION_END: Final = "dagster/asset_partition_range_end"


@dataclass(frozen=True, slots=True)
class Days:
    """The days from `first` to `last`, both included."""

    first: date
    last: date

    def chunks(self, size: int) -> list["Days"]:
        """Return the days in runs of at most `size`, oldest first."""
        starts = range(0, (self.last - self.first).days + 1, size)
        firsts = [self.first + timedelta(days=n) for n in starts]
        return [Days(first, min(self.last, first + timedelta(days=size - 1))) for first in firsts]

    def ended_weeks(self, today: date) -> tuple[date, date] | None:
        """Return the first and last Monday of the ISO weeks that rest on any of the days and are over; None for none.

        The week after the range is one of them, because it is compared with the last week of the range.
        """
        first = self.first - timedelta(days=self.first.weekday())
        last = min(self.last + timedelta(days=7), today - timedelta(days=7))
        last -= timedelta(days=last.weekday())
        return (first, last) if first <= last else None


Progress = Callable[[Sequence[Days]], Iterable[Days]]


@dataclass(frozen=True, slots=True)
class History:
    """A range of days to recompute: `size` days in a run, newest first if `backwards`."""

    days: Days
    size: int = 28
    backwards: bool = False


def run_history(project: LazyProject, history: History, progress: Progress = iter) -> list[str]:
    """Recompute the days, then the weeks that rest on them and all summaries, through Dagster; return the run ids."""
    defs = build_defs(project.settings, project=project)
    chunks = history.days.chunks(history.size)
    with instance(project.settings.home) as found:
        runs = [
            _run(defs, found, HISTORY_JOB, (chunk.first, chunk.last))
            for chunk in progress(chunks[::-1] if history.backwards else chunks)
        ]
        weeks = history.days.ended_weeks(project.now().date())
        if weeks:
            runs.append(_run(defs, found, WEEKLY_HISTORY_JOB, weeks))
        return [*runs, _run(defs, found, SUMMARIES_JOB, None)]


@contextmanager
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Yield the Dagster instance: that of DAGSTER_HOME if it is set, else the one whose files lie below `home`."""
    with _found(home) as found:
        yield found


def _found(home: Path) -> dg.DagsterInstance:
    if os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.get()
    folder = home / "dagster"
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "dagster.yaml"
    if not file.exists():
        file.write_text(yaml.safe_dump(instance_config(folder)), encoding="utf-8")
    return dg.DagsterInstance.from_config(str(folder))


def write_workspace(folder: Path) -> Path:
    """Write the workspace file of an instance, naming the code location as the top-level one does; return its path.

    Dagster keeps the state of schedules and sensors under the name of the location.
    """
    module = {"module_name": "calslo_dagster.definitions", "location_name": "calslo"}
    file = folder / "workspace.yaml"
    file.write_text(yaml.safe_dump({"load_from": [{"python_module": module}]}), encoding="utf-8")
    return file


def instance_config(folder: Path) -> dict[str, Any]:
    """Return the configuration of an instance with its files in `folder`; `dagster.yaml` says the same with reasons."""
    at = str(folder)
    manager = "dagster._core.storage.local_compute_log_manager"
    return {
        "telemetry": {"enabled": False},
        "nux": {"enabled": False},
        "storage": {"sqlite": {"base_dir": f"{at}/storage"}},
        "local_artifact_storage": {
            "module": "dagster._core.storage.root",
            "class": "LocalArtifactStorage",
            "config": {"base_dir": at},
        },
        "compute_logs": {
            "module": manager,
            "class": "LocalComputeLogManager",
            "config": {"base_dir": f"{at}/compute"},
        },
        "run_queue": {"dequeue_interval_seconds": 1},
        "concurrency": {
            "runs": {
                "max_concurrent_runs": 4,
                "tag_concurrency_limits": [{"key": "calslo/writes", "value": "state", "limit": 1}],
            }
        },
        "run_monitoring": {
            "enabled": True,
            "start_timeout_seconds": 120,
            "max_runtime_seconds": 3600,
            "poll_interval_seconds": 30,
        },
        "schedules": {"use_threads": True, "num_workers": 4},
        "sensors": {"use_threads": True, "num_workers": 4},
        "retention": {
            "schedule": {"purge_after_days": 14},
            "sensor": {"purge_after_days": {"skipped": 1, "success": 14, "failure": 30}},
        },
        "code_servers": {"local_startup_timeout": 120},
    }


def _run(defs: dg.Definitions, found: dg.DagsterInstance, job: str, span: tuple[date, date] | None) -> str:
    tags = {PARTITION_START: span[0].isoformat(), PARTITION_END: span[1].isoformat()} if span else {}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = defs.resolve_job_def(job).execute_in_process(
        run_config=quiet, instance=found, tags=tags, raise_on_error=False
    )
    if not result.success:
        raise CalsloError(f"run {result.run_id} of {job} failed: {_why(result)}")
    return result.run_id


def _why(result: dg.ExecuteInProcessResult) -> str:
    errors = [e.event_specific_data for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    texts = [_innermost(getattr(data, "error", None)) for data in errors]
    return "; ".join(text for text in texts if text) or "see its log in the Dagster UI"


def _innermost(error: Any) -> str:
    """Return the message of the error that Dagster wrapped."""
    while getattr(error, "cause", None):
        error = error.cause
    return str(getattr(error, "message", "")).strip()
