"""Routes that append events and late labels: all of a batch or nothing, and every batch once."""

import json
from collections.abc import Iterator
from typing import Annotated, Any, Final

from fastapi import APIRouter, Depends, HTTPException, Request
from pydantic import ValidationError
from starlette.responses import Response

from calslo_dagster.pipeline.project import Project
from calslo_dagster.sources.base import FeedSpec
from calslo_dagster.sources.ingest import Batch, Feed
from calslo_dagster.store.api_tokens import ApiToken, Scope
from calslo_dagster.web.access import needs
from calslo_dagster.web.api.ingest_models import Envelope, LabelRow, Received, Terms, event_row, said
from calslo_dagster.web.api.models import In
from calslo_dagster.web.api.paging import answer
from calslo_dagster.web.api.slos import REFUSED
from calslo_dagster.web.front import Front, front_of
from calslo_dagster.web.problems import Mistake, answers, pointed, problem

router: Final = APIRouter(prefix="/api/v1", tags=["ingest"], responses={**REFUSED, **answers(409)})
Writer = Annotated[ApiToken, Depends(needs(Scope.INGEST))]
MOST_MISTAKES: Final = 100
_SAID: Final = {
    "too_short": "there are no rows; send at least one",
    "string_unicode": "a key holds half a character; name a column",
    "list_type": "write a list of rows",
    "model_type": "write an object with a key for each column",
    "model_attributes_type": "write an object with a key for each column",
}


async def sent(request: Request) -> bytes:
    """Return the body as it came."""
    return await request.body()


Sent = Annotated[bytes, Depends(sent)]


def _takes(name: str) -> dict[str, Any]:
    schema = {"schema": {"$ref": f"#/components/schemas/{name}"}}
    return {"requestBody": {"required": True, "content": {"application/json": schema}}}


_DONE: Final[dict[int | str, dict[str, Any]]] = {200: {"model": Received, "description": "It was there already"}}


@router.post(
    "/events",
    operation_id="append_events",
    response_model=Received,
    status_code=201,
    responses=_DONE,
    openapi_extra=_takes("EventBatch"),
)
def events(request: Request, token: Writer, body: Sent) -> Response:
    """Append a batch of events to a source of kind `ingest`; the same `batch_id` again changes nothing."""
    row = event_row(front_of(request).project().slice_columns)
    return _kept(request, token, body, feed=Feed.EVENTS, row=row)


@router.post(
    "/labels",
    operation_id="append_labels",
    response_model=Received,
    status_code=201,
    responses=_DONE,
    openapi_extra=_takes("LabelBatch"),
)
def labels(request: Request, token: Writer, body: Sent) -> Response:
    """Append a batch of late labels to a source of kind `ingest`; the same `batch_id` again changes nothing."""
    return _kept(request, token, body, feed=Feed.LABELS, row=LabelRow)


def _kept(request: Request, token: ApiToken, body: bytes, *, feed: Feed, row: type[In]) -> Response:
    front = front_of(request)
    project, now = front.project(), front.now()
    told = _json(body)
    read = _Reading(row, _terms(front, project))
    envelope = read.envelope(told)
    rows = read.rows(told)
    if read.mistakes or envelope is None:
        return problem(request, 422, read.summary, errors=read.mistakes)
    found = front.workshop.kept(envelope.source, Batch(feed, envelope.batch_id, rows, token.name, now))
    received = Received(
        source=envelope.source,
        batch_id=envelope.batch_id,
        is_new=found.is_new,
        rows=found.rows,
        digest=found.digest,
    )
    return answer(request, received, status=201 if found.is_new else 200)


def _json(body: bytes) -> object:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        place = f" at byte {error.pos}" if isinstance(error, json.JSONDecodeError) else ""
        raise HTTPException(
            400, f"the body is no JSON{place}; send an object with source, batch_id and rows"
        ) from error


def _terms(front: Front, project: Project) -> Terms:
    names = frozenset(project.settings.ingest_folders)
    # The same bounds as the check of the files has, or rows would be taken here and dropped there.
    earliest, latest = FeedSpec(name="terms", paths=(".",)).bounds_us(front.now())
    assert latest is not None  # noqa: S101 - it is asked for at a time
    return Terms(names, earliest, latest)


class _Reading:
    """The rows of a batch, and what is wrong with it, at most so many mistakes that somebody reads them."""

    def __init__(self, row: type[In], terms: Terms) -> None:
        self._row, self._terms = row, terms
        self.mistakes: list[Mistake] = []

    @property
    def summary(self) -> str:
        """The first mistakes, and that nothing was kept."""
        some = "; ".join(f"{one.pointer}: {one.detail}" for one in self.mistakes[:3])
        more = len(self.mistakes) - 3
        count = f"; and {'at least ' if len(self.mistakes) == MOST_MISTAKES else ''}{more} more" if more > 0 else ""
        return f"nothing of the batch was kept: {some}{count}"

    def envelope(self, told: object) -> Envelope | None:
        """Return the batch without its rows, None if something is wrong with it."""
        try:
            return Envelope.model_validate(told, context=self._terms)
        except ValidationError as error:
            self._add(error, "")
            return None

    def rows(self, told: object) -> list[dict[str, Any]]:
        """Return the rows by canonical column, without nulls."""
        rows = told.get("rows") if isinstance(told, dict) else None
        found = []
        for place, one in enumerate(rows if isinstance(rows, list) else ()):
            if len(self.mistakes) >= MOST_MISTAKES:
                break
            try:
                row = self._row.model_validate(one, context=self._terms)
            except ValidationError as error:
                self._add(error, f"/rows/{place}")
            else:
                found.append(row.model_dump(by_alias=True, exclude_none=True))
        return found

    def _add(self, error: ValidationError, above: str) -> None:
        room = MOST_MISTAKES - len(self.mistakes)
        self.mistakes += [one for one, _ in zip(self._told(error, above), range(room), strict=False)]

    def _told(self, error: ValidationError, above: str) -> Iterator[Mistake]:
        for one in error.errors(include_url=False):
            pointer = above + "".join(f"/{pointed(part)}" for part in one["loc"])
            yield Mistake(pointer=pointer.encode(errors="backslashreplace").decode(), detail=self._detail(one, above))

    def _detail(self, one: Any, above: str) -> str:
        if one["type"] == "value_error":
            return str(one["ctx"]["error"])
        if one["type"] == "missing":
            return "is missing; write it" if one["loc"] else one["msg"]
        if one["type"] == "extra_forbidden":
            known = self._row if above else Envelope
            names = ", ".join(field.alias or name for name, field in known.model_fields.items())
            remedy = "; a column to slice by is named under slices.columns of calslo.yaml" if above else ""
            return f"{said(one['loc'][-1])} is not known; there are {names}{remedy}"
        if one["type"] == "too_long":
            return f"{one['ctx']['actual_length']} rows; send at most {one['ctx']['max_length']} in one batch"
        return _SAID.get(one["type"], str(one["msg"]))
