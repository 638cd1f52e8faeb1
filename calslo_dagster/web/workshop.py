"""What is drawn, composed or printed for pages: in a process of its own, so that this one stays small."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from multiprocessing import get_context
from threading import Lock
from typing import Any, Final, TypeVar

from markupsafe import Markup

from calslo_dagster.errors import BusyError
from calslo_dagster.exports.charts import can_draw, drawn, themed
from calslo_dagster.pipeline.ingest_rows import ingest_rows
from calslo_dagster.pipeline.tabulate_calibration import CalibrationTable, tabulate_calibration
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.document import Document, Figure
from calslo_dagster.settings import Settings
from calslo_dagster.sources.ingest import Batch, Kept

_KEPT: Final = 64
SECONDS: Final = 30.0
MISSING: Final = Markup(
    '<p class="notice">Charts need more: <code>pip install "calslo_dagster[charts]"</code>. '
    "The table holds the same.</p>"
)
Made = TypeVar("Made")


@dataclass(slots=True)
class Workshop:
    """Does one piece of work after the other in a process of its own, and keeps the results asked for last."""

    settings: Callable[[], Settings]
    _kept: OrderedDict[Hashable, Any] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)
    _worker: Executor | None = None

    def warm_up(self) -> None:
        """Start the process, so that the first page does not wait for it."""
        self._started().submit(ready)

    def document(self, wanted: Wanted, *, stamp: str, now: datetime) -> Document:
        """Return the document of a view, composed again when something was stored or a minute has passed."""
        minute = now.replace(second=0, microsecond=0)
        return self._of(("document", wanted, stamp, minute), composed, self.settings(), wanted, minute)

    def file(self, wanted: Wanted, form: str, table: str, *, now: datetime) -> bytes:
        """Return a view as a file; what is asked for again is made again, since files are large."""
        return self._do(partial(exported, form=form, table=table), self.settings(), wanted, now)

    def tables(self, days: Sequence[date]) -> list[CalibrationTable]:
        """Return the calibration tables of every slice over the days; SnapshotError without snapshots of them."""
        return self._do(tabulated, self.settings(), list(days))

    def kept(self, source: str, batch: Batch) -> Kept:
        """Keep a batch that a program sent; IngestError if its id has other content."""
        return self._do(kept, self.settings(), source, batch)

    def drawings(self, document: Document) -> dict[str, Markup]:
        """Return the figures of a document as SVG in the colours of the page, by their keys."""
        return {figure.key: self.drawing(figure) for figure in document.figures}

    def drawing(self, figure: Figure) -> Markup:
        """Return the figure as SVG in the colours of the page; where nothing can draw it, how to change that."""
        if not can_draw():
            return MISSING
        svg = self._of(("drawing", repr(figure.spec)), drawn, dict(figure.spec))
        return Markup(themed(svg, figure.described))  # noqa: S704 - drawn from numbers and our own words

    def _of(self, key: Hashable, work: Callable[..., Made], *given: Any) -> Made:
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                found: Made = self._kept[key]
                return found
        made = self._do(work, *given)
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return made

    def _do(self, work: Callable[..., Made], *given: Any) -> Made:
        for _ in range(2):
            worker = self._started()
            try:
                return worker.submit(work, *given).result(SECONDS)
            except BrokenProcessPool:
                # It was killed, by the kernel for its memory perhaps; a new one tries once more.
                self._forget(worker)
            except TimeoutError as error:
                raise BusyError(f"this takes longer than {SECONDS:g} s just now; ask again later") from error
        raise BusyError("what draws and prints was killed twice; is there enough memory?")

    def _started(self) -> Executor:
        with self._lock:
            if self._worker is None:
                # Spawned, since a fork of a process with threads may stand still.
                self._worker = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
            return self._worker

    def _forget(self, worker: Executor) -> None:
        with self._lock:
            if self._worker is worker:
                self._worker = None
        worker.shutdown(wait=False, cancel_futures=True)

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
            self._worker = None


def ready() -> None:
    """Load what draws and composes; in the process of its own."""
    import calslo_dagster.pipeline.views.compose  # noqa: F401, PLC0415 - the other process does without

    if can_draw():
        import vl_convert  # noqa: F401, PLC0415 - the other process does without


def composed(settings: Settings, wanted: Wanted, now: datetime) -> Document:
    """Return the document of a view; in the process of its own."""
    from calslo_dagster.pipeline.views.compose import compose  # noqa: PLC0415 - the other process does without

    return compose(_project(settings), wanted, now=now)


def tabulated(settings: Settings, days: Sequence[date]) -> list[CalibrationTable]:
    """Return the calibration tables of the days; in the process of its own."""
    return tabulate_calibration(_project(settings), days)


def kept(settings: Settings, source: str, batch: Batch) -> Kept:
    """Keep a batch that a program sent; in the process of its own."""
    return ingest_rows(_project(settings), source, batch)


def exported(settings: Settings, wanted: Wanted, now: datetime, *, form: str, table: str) -> bytes:
    """Return a view as a file; in the process of its own."""
    from calslo_dagster.exports.render import Format  # noqa: PLC0415 - the other process does without
    from calslo_dagster.pipeline.views.compose import export  # noqa: PLC0415 - the other process does without

    return export(_project(settings), wanted, Format(form), now=now, table=table)


_projects: dict[str, Any] = {}


def _project(settings: Settings) -> Any:
    from calslo_dagster.pipeline.project import open_project  # noqa: PLC0415 - the other process does without

    key = settings.model_dump_json()
    if key not in _projects:
        for old in _projects.values():
            old.store.close()
        _projects.clear()
        _projects[key] = open_project(settings)
    return _projects[key]
