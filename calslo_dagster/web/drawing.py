"""Charts for pages: drawn in a process of its own, since what draws takes more memory than the whole rest."""

from collections import OrderedDict
from concurrent.futures import Executor, ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context
from threading import Lock
from typing import Any, Final

from markupsafe import Markup

from calslo_dagster.exports.charts import can_draw, described, drawn, series_spec, themed
from calslo_dagster.reporting.points import Course
from calslo_dagster.slo.windows import Window

_KEPT: Final = 64
_SECONDS: Final = 20.0
_MISSING: Final = Markup(
    '<p class="notice">Charts need more: <code>pip install "calslo_dagster[charts]"</code>. '
    "The table holds the same.</p>"
)


@dataclass(slots=True)
class Drawing:
    """Draws one chart at a time, and keeps those that were asked for last."""

    _kept: OrderedDict[int, Markup] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)
    _worker: Executor | None = None

    def series(self, course: Course, breaches: list[Window]) -> Markup:
        """Return the chart of a course; where nothing can draw it, how to change that."""
        if not can_draw():
            return _MISSING
        key = hash((course, tuple(breaches)))
        with self._lock:
            if key not in self._kept:
                self._kept[key] = self._draw(course, breaches)
            self._kept.move_to_end(key)
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return self._kept[key]

    def _draw(self, course: Course, breaches: list[Window]) -> Markup:
        if self._worker is None:
            # Spawned, since a fork of a process with threads may stand still.
            self._worker = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
        spec: dict[str, Any] = series_spec(course, [(span.start, span.end) for span in breaches])
        svg = self._worker.submit(drawn, spec).result(_SECONDS)
        return Markup(themed(svg, described(course)))  # noqa: S704 - drawn from numbers and times alone

    def close(self) -> None:
        """End the process."""
        if self._worker is not None:
            self._worker.shutdown(cancel_futures=True)
            self._worker = None
