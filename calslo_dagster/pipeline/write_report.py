"""Write the report of a week or a month to files beside the state, whole or not at all."""

import logging
import os
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from calslo_dagster.errors import ExportError
from calslo_dagster.exports.render import Format, rendered
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.views.compose import compose
from calslo_dagster.pipeline.views.wanted import View, Wanted
from calslo_dagster.reporting.document import Document

logger = logging.getLogger("calslo_dagster.reports")
FORMATS: Final = (Format.HTML, Format.PDF, Format.MARKDOWN, Format.JSON, Format.CSV)


@dataclass(frozen=True, slots=True)
class WrittenReport:
    """The report and its files; left_out: formats that this installation cannot print, with the reason."""

    document: Document
    files: tuple[Path, ...]
    left_out: tuple[str, ...] = ()


def write_report(project: Project, period: str, *, now: datetime) -> WrittenReport:
    """Write the report of the period to `reports/` of the home; ExportError for a period that is not over."""
    document = compose(project, Wanted(View.REPORT, period=period), now=now)
    folder = project.settings.home / "reports"
    folder.mkdir(parents=True, exist_ok=True)
    files, left_out = list[Path](), list[str]()
    for form in FORMATS:
        try:
            content = rendered(document, form)
        except ExportError as error:
            left_out.append(f"{form}: {error}")
            logger.warning("report %s is not written as %s: %s", period, form, error)
            continue
        files.append(_written(folder / f"{period}.{form.value}", content))
    return WrittenReport(document, tuple(files), tuple(left_out))


def _written(path: Path, content: bytes) -> Path:
    scratch = path.with_name(f".{path.name}.{uuid4().hex[:8]}")
    try:
        with scratch.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        return scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)
