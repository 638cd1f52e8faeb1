"""A document as one file of HTML: styles and drawings inside, no scripts, nothing fetched from anywhere."""

from functools import cache
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from calslo_dagster.exports.charts import can_draw, drawn, themed
from calslo_dagster.exports.look import stylesheet
from calslo_dagster.reporting.document import Document, Figure, pieces

LOADER: Final = PackageLoader("calslo_dagster.exports")
# Whoever opens the file may not be led anywhere by what a log says.
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def html_of(document: Document) -> str:
    """Return the page; figures need the extra `charts`, and are told in words without it."""
    names: dict[str, Any] = {
        "document": document,
        "styles": Markup(stylesheet()),  # noqa: S704 - our own file
        "policy": POLICY,
        "drawings": {figure.key: drawing(figure) for figure in document.figures} if can_draw() else {},
    }
    return _environment().get_template("file.html").render(names)


def drawing(figure: Figure) -> Markup:
    """Return the figure as SVG in the colours of the theme around it."""
    return Markup(themed(drawn(figure.spec), figure.described))  # noqa: S704 - drawn from numbers and our own words


@cache
def _environment() -> Environment:
    made = Environment(loader=LOADER, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    made.globals["pieces"] = pieces
    return made
