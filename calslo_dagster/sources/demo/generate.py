"""Write the demo's files: `events/<day>/<hour>.parquet`, `labels/<day>.parquet` and `manifests.json` below a root.

Every file is a pure function of the script and its own name, written under another name and renamed: generating any of
them again, alone or in any order, leaves the same bytes.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from calslo_dagster.slo.model import Manifest
from calslo_dagster.slo.windows import DAY, utc
from calslo_dagster.sources.demo.manifests import demo_manifests
from calslo_dagster.sources.demo.script import HOUR, Script
from calslo_dagster.sources.demo.spec import EVENTS, LABELS
from calslo_dagster.sources.demo.tables import label_rows, log_rows

MANIFESTS: Final = "manifests.json"
# The footer of a file tells up to when it is complete, so that a partial one is known for what it is.
_UNTIL: Final = "calslo_demo.until"
_REPETITIVE: Final = ["model", "intent", "language", "clamp_alpha", "calibrator_version", "mask_id"]


def write_hours(root: Path, script: Script, start: datetime, end: datetime) -> tuple[Path, ...]:
    """Write the log files of the whole hours in [start, end) and return their paths; existing ones are replaced."""
    return tuple(_write_hour(root, script, hour, hour + HOUR) for hour in _steps(start, end, HOUR))


def write_labels(
    root: Path, script: Script, start: datetime, end: datetime, *, delivered_by: datetime | None = None
) -> tuple[Path, ...]:
    """Write the label files of the days in [start, end) and return their paths; existing ones are replaced.

    With `delivered_by`, files that arrive later than that are not written yet.
    """
    days = [d for d in _steps(start, end, DAY) if delivered_by is None or script.delivered_at(d) <= delivered_by]
    return tuple(_write_labels(root, script, day) for day in days)


def write_manifests(root: Path, script: Script) -> Path:
    """Write the manifests of all calibrator versions as JSON and return the path."""
    text = json.dumps({"manifests": [_to_json(m) for m in demo_manifests(script)]}, indent=1)
    path = root / MANIFESTS
    scratch = _scratch(path)
    scratch.write_text(text + "\n", encoding="utf-8")
    scratch.replace(path)
    return path


def refresh(root: Path, script: Script, now: datetime) -> tuple[Path, ...]:
    """Bring the files up to `now` and return those written.

    Missing hours, delivered label files and manifests are added; the hour that goes on is written up to the last
    complete minute; a file that is complete stays as it is.
    """
    minute = utc(now).replace(second=0, microsecond=0)
    this_hour = minute.replace(minute=0)
    hours = [*_steps(script.spec.start, this_hour, HOUR)]
    due = _unwritten(root, hours)
    written = [_write_hour(root, script, hour, hour + HOUR) for hour in due]
    if minute > max(this_hour, script.spec.start):
        written.append(_write_hour(root, script, this_hour, minute))
    written += [_write_labels(root, script, day) for day in _undelivered(root, script, minute)]
    if not (root / MANIFESTS).exists():
        written.append(write_manifests(root, script))
    return tuple(written)


def events_path(root: Path, hour: datetime) -> Path:
    """Return the path of the log file of the hour."""
    return root / EVENTS / f"{utc(hour):%Y-%m-%d}" / f"{utc(hour):%H}.parquet"


def labels_path(root: Path, day: datetime) -> Path:
    """Return the path of the label file of the day."""
    return root / LABELS / f"{utc(day):%Y-%m-%d}.parquet"


def _unwritten(root: Path, hours: list[datetime]) -> list[datetime]:
    """Return the hours whose file is missing or partial; only the newest existing file can be partial."""
    missing = [hour for hour in hours if not events_path(root, hour).exists()]
    newest = max(set(hours) - set(missing), default=None)
    if newest is None or _complete_until(events_path(root, newest)) >= newest + HOUR:
        return missing
    return sorted([*missing, newest])


def _undelivered(root: Path, script: Script, now: datetime) -> list[datetime]:
    days = _steps(script.spec.start, now.replace(hour=0, minute=0), DAY)
    return [day for day in days if script.delivered_at(day) <= now and not labels_path(root, day).exists()]


def _complete_until(path: Path) -> datetime:
    return datetime.fromisoformat(pq.read_metadata(path).metadata[_UNTIL.encode()].decode())


def _write_hour(root: Path, script: Script, hour: datetime, until: datetime) -> Path:
    return _write(events_path(root, hour), log_rows(script, hour, until), until)


def _write_labels(root: Path, script: Script, day: datetime) -> Path:
    return _write(labels_path(root, day), label_rows(script, day), day + DAY)


def _write(path: Path, rows: pa.Table, until: datetime) -> Path:
    scratch = _scratch(path)
    repetitive = [name for name in _REPETITIVE if name in rows.column_names]
    options = {"compression": "zstd", "use_dictionary": repetitive, "store_schema": False}
    with pq.ParquetWriter(scratch, rows.schema, **options) as writer:
        writer.write_table(rows)
        writer.add_key_value_metadata({_UNTIL: until.isoformat()})
    scratch.replace(path)
    return path


def _scratch(path: Path) -> Path:
    """Return a name beside `path` that no reader of Parquet or JSON picks up."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.name}.{uuid4().hex}.tmp")


def _steps(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    first = utc(start)
    if first.replace(minute=0, second=0, microsecond=0) != first or (step == DAY and first.hour):
        raise ValueError(f"files hold whole hours and days UTC; start at one, not at {first:%F %T}")
    for index in range(-((first - utc(end)) // step)):
        yield first + index * step


def _to_json(manifest: Manifest) -> dict[str, object]:
    fitted_at = manifest.fitted_at.isoformat() if manifest.fitted_at else None
    return {**asdict(manifest), "fitted_at": fitted_at}
