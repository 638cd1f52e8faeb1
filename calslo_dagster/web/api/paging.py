"""How answers go over the wire: in parts that a signed cursor links, and not again what the client has."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Final, Generic, TypeVar

from fastapi import HTTPException, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.web.front import front_of

Item = TypeVar("Item", bound=BaseModel)
Row = TypeVar("Row")
_PLACES: Final = frozenset({"cursor", "limit"})
MOST_ROWS: Final = 500


class Part(BaseModel, Generic[Item]):
    """Some of the rows; with `next_cursor` the same request gives those that follow, null after the last."""

    items: list[Item]
    next_cursor: str | None = Field(default=None, examples=[None])


@dataclass(frozen=True, slots=True)
class Place:
    """Where a list goes on: after what the cursor names, for so many rows."""

    after: str
    limit: int
    purpose: str

    def sealed(self, request: Request, after: str) -> str:
        """Return the cursor of the rows after this one."""
        return front_of(request).signer.sealed(self.purpose, after)


def place(
    request: Request,
    cursor: Annotated[str | None, Query(max_length=400, description="`next_cursor` of the answer before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_ROWS, description="How many rows at most.")] = 100,
) -> Place:
    """Return where the list goes on; 400 for a cursor that is not ours, or of another request."""
    query = sorted((name, value) for name, value in request.query_params.multi_items() if name not in _PLACES)
    purpose = f"cursor {request.url.path} {query}"
    after = front_of(request).signer.opened(purpose, cursor) if cursor else ""
    if after is None:
        raise HTTPException(400, "this cursor is none of ours, or of another request; begin again without one")
    return Place(after, limit, purpose)


def part(request: Request, at: Place, rows: Sequence[Row], told: Callable[[Row], BaseModel]) -> Response:
    """Return some of the rows, which are few enough to be read at once."""
    start = int(at.after or 0)
    shown = [told(row) for row in rows[start : start + at.limit]]
    end = start + len(shown)
    following = at.sealed(request, str(end)) if end < len(rows) else None
    return answer(request, Part[BaseModel].model_construct(items=shown, next_cursor=following))


def answer(request: Request, body: BaseModel, *, status: int = 200) -> Response:
    """Return the body as JSON, or 304 if it is what the client has."""
    content = body.model_dump_json(serialize_as_any=True).encode()
    tag = f'"{sha256(content).hexdigest()[:24]}"'
    headers = {"ETag": tag, "Cache-Control": "private, no-cache", "Vary": "Authorization"}
    known = {one.strip().removeprefix("W/") for one in request.headers.get("if-none-match", "").split(",")}
    if request.method == "GET" and status == 200 and known & {tag, "*"}:
        return Response(status_code=304, headers=headers)
    return Response(content, status, headers=headers, media_type="application/json")
