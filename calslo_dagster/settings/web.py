"""The part of calslo.yaml about the web application."""

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from calslo_dagster.settings.section import Section
from calslo_dagster.settings.types import Count, Reference, WebAddress

_ANCESTOR: Final = re.compile(r"https?://(\*\.)?[A-Za-z0-9.-]+(:[0-9]{1,5})?", re.ASCII)


def _ancestor(text: str) -> str:
    """Return the origin; it goes into a header, so that nothing else may come with it."""
    if not _ANCESTOR.fullmatch(text):
        raise ValueError("write an origin, such as https://wiki.example or https://*.example:8443, without a path")
    return text


class WebSection(Section):
    """The pages and the REST API of `calslo serve`."""

    pages: Literal["open", "token"] = "open"
    """Who may read the pages: everybody who reaches them, or who signs in with a token. The REST API always takes a
    token, and so does every button that changes something."""
    dagster_url: WebAddress | None = None
    """Where people reach the Dagster UI; measurements then link to the run that made them."""
    embedded_by: tuple[Annotated[str, AfterValidator(_ancestor)], ...] = ()
    """Origins of the sites that may show cards of ours in a frame, such as https://wiki.example."""
    key: Reference | None = None
    """The key that signs sessions, forms and cursors, the same for all web processes; one that is made up at the first
    start and kept in the file web.key of `home` unless told."""
    requests_per_minute: Count = 600
    """How many requests one address may make in a minute; a token may make as many, whatever the address."""
    most_points: Annotated[int, Field(ge=20, le=5_000)] = 400
    """How many points a chart or a table of a course shows; the worst one of each span is kept."""
    rows_per_page: Annotated[int, Field(ge=10, le=500)] = 100
    """How many rows a page shows before it offers the next ones."""
