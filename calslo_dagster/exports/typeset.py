"""A document as PDF, PNG or SVG, set by Typst; needs the extra `pdf`, and `charts` for its figures.

The PDF is tagged for screen readers (PDF/UA-1). Its date is that of the data, so that the same data give the same
bytes.
"""

import json
from dataclasses import replace
from enum import StrEnum
from functools import cache
from importlib.resources import as_file, files
from typing import Any, Final, Literal

from calslo_dagster.errors import ExportError
from calslo_dagster.exports.charts import can_draw, coloured, drawn
from calslo_dagster.exports.look import themes
from calslo_dagster.reporting.document import Cell, Document, Fact, Figure, Reader, Section, Table, pieces

_FOLDER: Final = files("calslo_dagster.exports")
_TEMPLATE: Final = _FOLDER / "typst" / "document.typ"
# Pixels per inch of pictures; twice the usual, for screens that are as fine.
_PPI: Final = 144.0
_DAY_FIELDS: Final = ("year", "month", "day", "hour", "minute", "second")


class Sheet(StrEnum):
    """What comes out: pages for printing, or one picture as high as it needs to be."""

    PDF = "pdf"
    PNG = "png"
    SVG = "svg"


MOST_ROWS: Final = {Sheet.PDF: 500, Sheet.PNG: 25, Sheet.SVG: 25}


def typeset(document: Document, sheet: Sheet) -> bytes:
    """Return the file; ExportError without the extra."""
    try:
        import typst  # noqa: PLC0415 - an extra, and only those who print need it
    except ModuleNotFoundError as error:
        raise ExportError('PDF, PNG and SVG need more: run `pip install "calslo_dagster[pdf,charts]"`') from error
    # A sign that no font has may not be in PDF/UA-1; such a file is only tagged.
    standards: tuple[list[Literal["ua-1"]], ...] = (["ua-1"], []) if sheet is Sheet.PDF else ([],)
    inputs = {
        "document": json.dumps(_plain(document, MOST_ROWS[sheet])),
        "is_picture": str(sheet is not Sheet.PDF).lower(),
    }
    with as_file(_FOLDER / "fonts") as fonts:
        asked: dict[str, Any] = {"format": sheet.value, "font_paths": [fonts], "sys_inputs": inputs}
        if sheet is Sheet.PNG:
            asked["ppi"] = _PPI
        for standard in standards:
            try:
                found = typst.compile(_source(), pdf_standards=list(standard), **asked)
            except typst.TypstError:
                if not standard:
                    raise
                continue
            # A picture is one page, since that is as high as it needs to be.
            assert isinstance(found, bytes)  # noqa: S101
            return found
    raise AssertionError("the last way either returns or raises")


@cache
def _source() -> bytes:
    return _TEMPLATE.read_bytes()


def _plain(document: Document, most: int) -> dict[str, Any]:
    """Return what the template reads."""
    at = document.as_of
    return {
        "title": document.title,
        "state": document.state,
        "lead": [pieces(line) for line in document.lead],
        "at": {name: getattr(at, name) for name in _DAY_FIELDS} if at else None,
        "as_of": f"{at:%Y-%m-%d %H:%M} UTC" if at else "",
        "colours": themes()["light"],
        "is_wide": any(len(table.read_by(Reader.PEOPLE).columns) > _NARROW for table in document.tables),
        "sections": [_section(one, most) for one in document.sections],
        "asides": [_table(table, is_titled=True, most=most) for table in document.tables if table.is_aside],
    }


# More columns than this need a page on its side.
_NARROW: Final = 6
# Texts up to this length stay on one line; what is longer shares what is left of the width.
_SHORT: Final = 18


def _section(one: Section, most: int) -> dict[str, Any]:
    return {
        "title": one.title,
        "texts": [pieces(line) for line in one.texts],
        "facts": [_fact(fact) for fact in one.facts],
        "figures": [_figure(figure, is_titled=_is_titled(one, figure)) for figure in one.figures],
        "tables": [
            _table(table, is_titled=_is_titled(one, table), most=most) for table in one.tables if not table.is_aside
        ],
    }


def _is_titled(section: Section, part: Table | Figure) -> bool:
    return part.title != section.title


def _fact(fact: Fact) -> dict[str, Any]:
    return {"title": fact.title, "text": fact.cell.text, "state": fact.cell.state, "note": fact.note}


def _figure(figure: Figure, *, is_titled: bool) -> dict[str, Any]:
    svg = coloured(drawn(figure.spec), themes()["light"]) if can_draw() else ""
    title = figure.title if is_titled else ""
    return {"title": title, "caption": figure.caption, "described": figure.described, "svg": svg}


def _table(table: Table, *, is_titled: bool, most: int) -> dict[str, Any]:
    table = table.read_by(Reader.PEOPLE)
    rest = len(table.rows) - most
    table = replace(table, rows=table.rows[:most])
    return {
        "title": table.title if is_titled else "",
        "caption": table.caption,
        "rest": f"{rest:,} more rows; the CSV file holds all." if rest > 0 else "",
        "empty": table.empty,
        "columns": [{"title": column.title, "is_number": column.is_number} for column in table.columns],
        "widths": [_width(table, place) for place in range(len(table.columns))],
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
    }


def _cell(cell: Cell) -> dict[str, str]:
    return {"text": cell.text, "state": cell.state}


def _width(table: Table, place: int) -> int:
    """Return the share of the width that the column takes, 0 for as much as it needs."""
    longest = max((len(row[place].text) for row in table.rows), default=0)
    return 0 if longest <= _SHORT or table.columns[place].is_number else min(longest, 120)
