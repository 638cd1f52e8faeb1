"""What every handler works with, made once per application."""

from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from typing import Final, Generic, TypeVar

from starlette.requests import HTTPConnection

from calslo_dagster.exports.counters import Counters
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_board import EVERY_CARD, board_stamp, read_board
from calslo_dagster.pipeline.read_sparks import Spark, read_sparks
from calslo_dagster.pipeline.views.wanted import Wanted
from calslo_dagster.reporting.board import Board, BoardFilter, Card
from calslo_dagster.reporting.document import Document
from calslo_dagster.web.limits import Meter
from calslo_dagster.web.signing import Signer
from calslo_dagster.web.workshop import Workshop

_KEPT: Final = 32
Kept = TypeVar("Kept")


@dataclass(slots=True)
class Recent(Generic[Kept]):
    """The results that were asked for last."""

    _found: OrderedDict[Hashable, Kept] = field(default_factory=OrderedDict)
    _lock: Lock = field(default_factory=Lock)

    def of(self, key: Hashable, make: Callable[[], Kept]) -> Kept:
        """Return the result of this key, made unless it is known."""
        with self._lock:
            if key in self._found:
                self._found.move_to_end(key)
                return self._found[key]
        made = make()
        with self._lock:
            self._found[key] = made
            while len(self._found) > _KEPT:
                self._found.popitem(last=False)
        return made


@dataclass(frozen=True, slots=True)
class Front:
    """The project, the clock, the signer, the boards of late, the counters of requests, and who draws and prints."""

    project: Callable[[], Project]
    now: Callable[[], datetime]
    signer: Signer
    meter: Meter
    workshop: Workshop
    boards: Recent[Board] = field(default_factory=Recent)
    sparks: Recent[Mapping[tuple[str, str], Spark]] = field(default_factory=Recent)
    counters: Counters = field(default_factory=Counters)

    def stamp(self) -> str:
        """Return what changes whenever something is stored."""
        return board_stamp(self.project())

    def board(self, wanted: BoardFilter = EVERY_CARD) -> Board:
        """Return how the SLOs stand now."""
        project, now = self.project(), self.now()
        # Once a minute at least, because time alone makes results stale and ends maintenance.
        key = (wanted, self.stamp(), now.replace(second=0, microsecond=0))
        return self.boards.of(key, lambda: read_board(project, now=now, filter=wanted))

    def courses(self, cards: Sequence[Card]) -> Mapping[tuple[str, str], Spark]:
        """Return the recent courses of the cards, by SLO and slice."""
        key = (self.stamp(), *((card.slo, card.slice) for card in cards))
        return self.sparks.of(key, lambda: read_sparks(self.project(), cards))


def document_of(front: Front, wanted: Wanted) -> Document:
    """Return the document of a view as of now."""
    return front.workshop.document(wanted, stamp=front.stamp(), now=front.now())


def front_of(request: HTTPConnection) -> Front:
    """Return what the application of the request works with."""
    found = request.app.state.front
    assert isinstance(found, Front)  # noqa: S101 - the factory puts it there
    return found
