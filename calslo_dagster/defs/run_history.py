"""Prune Dagster's own run history, which no setting of `dagster.yaml` bounds."""

import shutil
from datetime import datetime
from pathlib import Path
from typing import Final

import dagster as dg

# Bounded, so that a first pruning of a long history does not outlast its run.
MOST_PER_PRUNING: Final = 5_000


def delete_old_runs(instance: dg.DagsterInstance, *, older_than: datetime) -> int:
    """Delete finished runs created before `older_than`; return how many.

    Deleting a run deletes its materialization events, so the run behind the latest materialization of any asset
    partition stays: without it the partition would read as missing.
    """
    ended = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
    found = instance.get_run_records(
        filters=dg.RunsFilter(statuses=ended, created_before=older_than), limit=MOST_PER_PRUNING, ascending=True
    )
    kept = _holding_latest(instance)
    doomed = [record.dagster_run.run_id for record in found if record.dagster_run.run_id not in kept]
    for run_id in doomed:
        instance.delete_run(run_id)
        _remove_files(instance, run_id)
    return len(doomed)


def _holding_latest(instance: dg.DagsterInstance) -> set[str]:
    """Return the runs that hold the latest materialization of an asset or of one of its partitions."""
    kept: set[str] = set()
    for key in instance.all_asset_keys():
        storage_ids = instance.event_log_storage.get_latest_storage_id_by_partition(
            key, dg.DagsterEventType.ASSET_MATERIALIZATION
        )
        latest = instance.get_latest_materialization_event(key)
        kept |= {latest.run_id} if latest else set()
        kept |= _runs_of(instance, key, list(storage_ids.values()))
    return kept


def _runs_of(instance: dg.DagsterInstance, key: dg.AssetKey, storage_ids: list[int]) -> set[str]:
    runs: set[str] = set()
    for start in range(0, len(storage_ids), 500):
        chunk = storage_ids[start : start + 500]
        records = instance.fetch_materializations(
            dg.AssetRecordsFilter(asset_key=key, storage_ids=chunk), limit=len(chunk)
        ).records
        runs |= {record.run_id for record in records}
    return runs


def _remove_files(instance: dg.DagsterInstance, run_id: str) -> None:
    """Remove what deleting a run leaves behind on disk: its own SQLite file and its captured output."""
    storage = instance.event_log_storage
    base = getattr(storage, "_base_dir", None)
    if base is not None:
        for ending in (".db", ".db-wal", ".db-shm"):
            Path(base, run_id + ending).unlink(missing_ok=True)
    shutil.rmtree(Path(instance.storage_directory(), run_id), ignore_errors=True)
    instance.compute_log_manager.delete_logs(prefix=[run_id])
