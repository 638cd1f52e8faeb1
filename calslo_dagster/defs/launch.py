"""Run jobs through Dagster from the command line, on the instance that its UI and daemon use."""

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Final

import dagster as dg
import yaml
from dagster._core.events import RunFailureReason
from filelock import FileLock

from calslo_dagster.defs.build import build_defs
from calslo_dagster.defs.jobs import HISTORY_JOB, MAX_RUNTIME, SUMMARIES_JOB, WEEKLY_HISTORY_JOB
from calslo_dagster.defs.orphans import fail_orphans, lifeline
from calslo_dagster.defs.resources import LazyProject
from calslo_dagster.errors import CalsloError

PARTITION_START: Final = "dagster/asset_partition_range_start"
PARTITION_END: Final = "dagster/asset_partition_range_end"
# Whether the process of such a run lives is known, so it may take as long as the log is large.
LONGEST_SECONDS: Final = 30 * 86_400
SNAPSHOTS: Final = "calibration_snapshots"


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


@dataclass(frozen=True, slots=True)
class History:
    """A range of days to recompute: `size` days in a run, newest first if `backwards`."""

    days: Days
    size: int = 28
    backwards: bool = False


@dataclass(frozen=True, slots=True)
class Reached:
    """How far the work has come: `done` of `total` stages, each counted for every day, and which is done last."""

    done: int
    total: int
    stage: str


Tell = Callable[[Reached], None]


def _nobody(_: Reached) -> None:
    """Tell nobody."""


@dataclass(frozen=True, slots=True)
class _Part:
    """One run: a job over the days or weeks that `span` names, `size` of them; None for a job without partitions."""

    job: dg.JobDefinition
    span: tuple[date, date] | None
    size: int


def run_history(project: LazyProject, history: History, tell: Tell = _nobody) -> list[str]:
    """Recompute the days, then the weeks that rest on them and all summaries, through Dagster; return the run ids.

    Raises KeyboardInterrupt when it was interrupted; what was stored until then stays.
    """
    home = project.settings.home
    meter = _Meter(tell)
    watched = replace(project, on_day=meter.day)
    defs = build_defs(project.settings, project=watched)
    parts = list(_parts(defs, history, project.now().date()))
    meter.begin(sum(part.size * _stages(part.job, len(project.settings.logs)) for part in parts))
    with instance(home) as found, lifeline(home / "tmp") as tags:
        fail_orphans(found)
        return [_run(found, part, tags, meter) for part in parts]


def _parts(defs: dg.Definitions, history: History, today: date) -> Iterator[_Part]:
    chunks = history.days.chunks(history.size)
    daily, weekly, summaries = map(defs.resolve_job_def, (HISTORY_JOB, WEEKLY_HISTORY_JOB, SUMMARIES_JOB))
    for chunk in chunks[::-1] if history.backwards else chunks:
        yield _Part(daily, (chunk.first, chunk.last), (chunk.last - chunk.first).days + 1)
    weeks = history.days.ended_weeks(today)
    if weeks:
        yield _Part(weekly, weeks, (weeks[1] - weeks[0]).days // 7 + 1)
    yield _Part(summaries, None, 1)


def _stages(job: dg.JobDefinition, logs: int) -> int:
    """Return how many stages the job has; snapshots are one for each log."""
    names = [node.name for node in job.nodes]
    return len(names) + (logs - 1) * names.count(SNAPSHOTS)


class _Meter:
    """Adds up the stages that are done. Snapshots are most of the work, so their days are counted one by one."""

    def __init__(self, tell: Tell) -> None:
        self._done = self._total = 0
        self._tell = tell

    def begin(self, total: int) -> None:
        """Say that nothing is done of so many stages."""
        self._total = total
        self._count(0, "nothing yet")

    def day(self, day: date) -> None:
        """Count a day of snapshots."""
        self._count(1, f"{SNAPSHOTS} of {day}")

    def hook(self, size: int) -> dg.HookDefinition:
        """Return the hook that counts each other stage of a run over so many days."""

        @dg.success_hook(name="count_stage")
        def count_stage(context: dg.HookContext) -> None:
            if context.op.name != SNAPSHOTS:
                self._count(size, context.op.name.replace("__", "/"))

        return count_stage

    def _count(self, stages: int, last: str) -> None:
        self._done += stages
        self._tell(Reached(self._done, self._total, last))


@contextmanager
def instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """Yield the Dagster instance: that of DAGSTER_HOME if it is set, else the one whose files lie below `home`."""
    with _opened(home) as found:
        yield found


def prepare(home: Path) -> Path:
    """Put the instance in its place, with files and tables, as far as it is not there; return its folder."""
    folder = instance_folder(home)
    # Dagster refuses a relative DAGSTER_HOME, and no folder shall be left of one.
    if folder.is_absolute():
        with _alone(folder):
            _write_files(folder)
    with instance(home):
        return folder


def instance_folder(home: Path) -> Path:
    """Return the folder of the instance: DAGSTER_HOME if it is set, else one below `home`."""
    named = os.environ.get("DAGSTER_HOME")
    return Path(named).expanduser() if named else home / "dagster"


def _opened(home: Path) -> dg.DagsterInstance:
    folder = instance_folder(home)
    if os.environ.get("DAGSTER_HOME"):
        with _alone(folder) if folder.is_dir() else nullcontext():
            return dg.DagsterInstance.get()
    with _alone(folder):
        _write_files(folder)
        return dg.DagsterInstance.from_config(str(folder))


def _alone(folder: Path) -> AbstractContextManager[object]:
    """Keep other processes out: two that find no tables create them at once, and one ends with "already exists"."""
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "prepare.lock")


def _write_files(folder: Path) -> None:
    file = folder / "dagster.yaml"
    if not file.exists():
        file.write_text(yaml.safe_dump(instance_config(folder)), encoding="utf-8")


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
            },
            "pools": {"granularity": "run", "default_limit": 1},
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


def _run(found: dg.DagsterInstance, part: _Part, tags: dict[str, str], meter: _Meter) -> str:
    span = {PARTITION_START: part.span[0].isoformat(), PARTITION_END: part.span[1].isoformat()} if part.span else {}
    quiet = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
    result = part.job.with_hooks({meter.hook(part.size)}).execute_in_process(
        run_config=quiet,
        instance=found,
        tags={**tags, **span, MAX_RUNTIME: str(LONGEST_SECONDS)},
        raise_on_error=False,
    )
    if _is_interrupted(result):
        raise KeyboardInterrupt
    if not result.success:
        raise CalsloError(f"run {result.run_id} of {part.job.name} failed: {_why(result)}")
    return result.run_id


def _is_interrupted(result: dg.ExecuteInProcessResult) -> bool:
    reasons = [getattr(e.event_specific_data, "failure_reason", None) for e in result.all_events]
    return RunFailureReason.UNEXPECTED_TERMINATION in reasons


def _why(result: dg.ExecuteInProcessResult) -> str:
    errors = [e.event_specific_data for e in result.all_events if e.event_type_value == "STEP_FAILURE"]
    texts = [_innermost(getattr(data, "error", None)) for data in errors]
    return "; ".join(text for text in texts if text) or "see its log in the Dagster UI"


def _innermost(error: Any) -> str:
    """Return the message of the error that Dagster wrapped."""
    while getattr(error, "cause", None):
        error = error.cause
    return str(getattr(error, "message", "")).strip()
