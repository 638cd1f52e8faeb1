"""Keep a batch of events or late labels that a program sent."""

import logging
from typing import Final

from calslo_dagster.errors import StoreError
from calslo_dagster.pipeline.project import Project
from calslo_dagster.sources.ingest import Batch, Kept, keep_batch

_log: Final = logging.getLogger(__name__)


def ingest_rows(project: Project, source: str, batch: Batch) -> Kept:
    """Keep the batch for this source, once; the next evaluation counts it.

    IngestError: its id has other content. StoreError: the disk did not take it; sending it again is safe.
    """
    folder = project.settings.ingest_folders[source]
    try:
        kept = keep_batch(folder, batch, project.slice_columns)
    except OSError as error:
        raise StoreError(
            f"batch {batch.id!r} could not be kept below {folder}: {error.strerror}; make room, or let the user that "
            "runs calslo write there, and send it again"
        ) from error
    if kept.is_new:
        _log.info("%s sent %d %s to %s as batch %r", batch.by, kept.rows, batch.feed, source, batch.id)
    return kept
