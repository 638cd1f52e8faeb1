"""Write a document as a file: one door for all formats, so that all of them hold the same."""

import csv
import io
import json
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any, Final

from calslo_dagster.errors import ExportError
from calslo_dagster.exports.page import html_of
from calslo_dagster.exports.typeset import Sheet, typeset
from calslo_dagster.reporting.document import Cell, Document, Fact, Reader, Section, Table
from calslo_dagster.reporting.tables import bullets, markdown

# A spreadsheet takes a text that begins like this for a formula, and logs are written by strangers.
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


class Format(StrEnum):
    """What a document can be written as."""

    JSON = "json"
    CSV = "csv"
    MARKDOWN = "md"
    HTML = "html"
    PDF = "pdf"
    PNG = "png"
    SVG = "svg"


MEDIA_TYPES: Final = {
    Format.JSON: "application/json",
    Format.CSV: "text/csv; charset=utf-8",
    Format.MARKDOWN: "text/markdown; charset=utf-8",
    Format.HTML: "text/html; charset=utf-8",
    Format.PDF: "application/pdf",
    Format.PNG: "image/png",
    Format.SVG: "image/svg+xml",
}


def rendered(document: Document, form: Format, *, table: str = "") -> bytes:
    """Return the file, the same bytes for the same document; table: which one a CSV file holds, the first unless told.

    Raises ExportError for a table that the document does not have, and where the extra that draws is not installed.
    """
    return _csv(_chosen(document, table)) if form is Format.CSV else _WRITERS[form](document)


def _json(document: Document) -> bytes:
    return (json.dumps(plain(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _chosen(document: Document, key: str) -> Table:
    found = document.table(key)
    if found is None:
        known = ", ".join(table.key for table in document.tables) or "none"
        raise ExportError(f"{document.view} has no table {key!r}; there are {known}")
    return found


def plain(document: Document) -> dict[str, Any]:
    """Return the document as JSON has it: numbers as they are, by the names of their columns."""
    return {
        "view": document.view,
        "title": document.title,
        "state": document.state,
        "as_of": document.as_of.isoformat().replace("+00:00", "Z") if document.as_of else None,
        "filters": dict(document.filters),
        "lead": list(document.lead),
        "sections": [_section(one) for one in document.sections],
    }


def _section(one: Section) -> dict[str, Any]:
    found: dict[str, Any] = {"key": one.key, "title": one.title, "texts": list(one.texts)}
    found["facts"] = {fact.key: _fact(fact) for fact in one.facts}
    found["figures"] = [
        {"key": fig.key, "title": fig.title, "caption": fig.caption, "described": fig.described, "spec": dict(fig.spec)}
        for fig in one.figures
    ]
    found["tables"] = [_table(table) for table in one.tables]
    return found


def _fact(fact: Fact) -> dict[str, Any]:
    return {"title": fact.title, "value": fact.cell.raw, "text": fact.cell.text, "note": fact.note}


def _table(table: Table) -> dict[str, Any]:
    table = table.read_by(Reader.PROGRAMS)
    keys = [column.key for column in table.columns]
    return {
        "key": table.key,
        "title": table.title,
        "columns": {column.key: column.title for column in table.columns},
        "rows": [dict(zip(keys, (cell.raw for cell in row), strict=True)) for row in table.rows],
    }


def _csv(table: Table) -> bytes:
    table = table.read_by(Reader.PROGRAMS)
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow([column.key for column in table.columns])
    writer.writerows([_field(cell) for cell in row] for row in table.rows)
    return out.getvalue().encode()


def _field(cell: Cell) -> object:
    raw = cell.raw
    if isinstance(raw, str):
        return f"'{raw}" if raw.startswith(_FORMULA) else raw
    return "" if raw is None else str(raw).lower() if isinstance(raw, bool) else repr(raw)


def _markdown(document: Document) -> str:
    parts = [f"# {document.title}\n", bullets(document.lead)]
    if document.as_of:
        parts.append(f"As of {document.as_of:%Y-%m-%d %H:%M} UTC.\n")
    for one in document.sections:
        parts += [f"## {one.title}\n", bullets(one.texts), bullets(_told(fact) for fact in one.facts)]
        parts += [f"Chart: {figure.title}. {figure.described}\n" for figure in one.figures]
        for table in (each.read_by(Reader.PEOPLE) for each in one.tables):
            parts += [f"### {table.title}\n"] if table.title != one.title else []
            cells = [[cell.text for cell in row] for row in table.rows]
            parts.append(markdown([column.title for column in table.columns], cells) if cells else f"{table.empty}\n")
    return "\n".join(part for part in parts if part)


def _told(fact: Fact) -> str:
    return f"{fact.title}: {fact.cell.text}{f' ({fact.note})' if fact.note else ''}"


_WRITERS: Final[Mapping[Format, Callable[[Document], bytes]]] = {
    Format.JSON: _json,
    Format.MARKDOWN: lambda document: _markdown(document).encode(),
    Format.HTML: lambda document: html_of(document).encode(),
    Format.PDF: lambda document: typeset(document, Sheet.PDF),
    Format.PNG: lambda document: typeset(document, Sheet.PNG),
    Format.SVG: lambda document: typeset(document, Sheet.SVG),
}
