"""Compose the document of any view: the one door for pages, files and the REST API."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final

from calslo_dagster.errors import ExportError
from calslo_dagster.exports.render import Format, rendered
from calslo_dagster.pipeline.project import Project
from calslo_dagster.pipeline.read_board import read_board
from calslo_dagster.pipeline.views.calibration import calibration
from calslo_dagster.pipeline.views.drift import drift_view
from calslo_dagster.pipeline.views.overview import overview
from calslo_dagster.pipeline.views.records import alerts_view, audit, settings_view
from calslo_dagster.pipeline.views.report import report
from calslo_dagster.pipeline.views.slo import slo_view
from calslo_dagster.pipeline.views.wanted import View, Wanted
from calslo_dagster.reporting.board import BoardFilter, Card
from calslo_dagster.reporting.document import Document
from calslo_dagster.slo.model import EVERYTHING
from calslo_dagster.slo.parameters import unknown_name


def compose(project: Project, wanted: Wanted, *, now: datetime) -> Document:
    """Return the document of the view; ExportError for an SLO, a slice or a period that there is not."""
    return _VIEWS[wanted.view](project, wanted, now)


def export(project: Project, wanted: Wanted, form: Format, *, now: datetime, table: str = "") -> bytes:
    """Return the view as a file, the same bytes whoever asks; table: which one, of a view that has several."""
    return rendered(compose(project, wanted, now=now), form, table=table)


def _overview(project: Project, wanted: Wanted, now: datetime) -> Document:
    return overview(read_board(project, now=now, filter=wanted.board), wanted)


def _slo(project: Project, wanted: Wanted, now: datetime) -> Document:
    return slo_view(project, _card(project, wanted, now), wanted)


def _card(project: Project, wanted: Wanted, now: datetime) -> Card:
    if wanted.slo not in project.registry:
        raise ExportError(unknown_name("SLO", wanted.slo, dict.fromkeys(project.registry.names)))
    board = read_board(project, now=now, filter=BoardFilter(slo=wanted.slo))
    card = board.card(wanted.slo, wanted.slice or EVERYTHING)
    if card is None and not wanted.slice and board.cards:
        card = board.cards[0]
    if card is None:
        known = ", ".join(sorted(one.slice for one in board.cards)[:5])
        raise ExportError(f"{wanted.slo} is not measured on {wanted.slice!r}; it is on {known or 'nothing'}")
    return card


_VIEWS: Final[Mapping[View, Callable[[Project, Wanted, datetime], Document]]] = {
    View.OVERVIEW: _overview,
    View.SLO: _slo,
    View.CALIBRATION: lambda project, wanted, _now: calibration(project, wanted),
    View.DRIFT: lambda project, wanted, _now: drift_view(project, wanted),
    View.ALERTS: lambda project, wanted, now: alerts_view(project, read_board(project, now=now), wanted),
    View.AUDIT: lambda project, wanted, _now: audit(project, wanted),
    View.SETTINGS: lambda project, wanted, now: settings_view(project, read_board(project, now=now), wanted),
    View.REPORT: lambda project, wanted, now: report(project, wanted, now=now),
}
