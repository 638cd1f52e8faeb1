"""Errors as problem details (RFC 9457); people who look at pages get a page instead."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response

from calslo_dagster.alerting.silences import SilenceError
from calslo_dagster.errors import (
    BusyError,
    CalsloError,
    ExclusionError,
    ExportError,
    StoreError,
    TokenError,
    UnfitTextError,
)
from calslo_dagster.pipeline.respond_to_alerts import UnknownIncident
from calslo_dagster.web.templating import page

MEDIA_TYPE: Final = "application/problem+json"
_STATUS: Final[Mapping[type[CalsloError], int]] = {
    UnknownIncident: 404,
    ExclusionError: 404,
    SilenceError: 422,
    UnfitTextError: 422,
    TokenError: 422,
    ExportError: 404,
    BusyError: 503,
    StoreError: 503,
}


class Mistake(BaseModel):
    """One mistake of a request: a JSON pointer to it, and what is wrong."""

    pointer: str = Field(examples=["/query/limit"])
    detail: str = Field(examples=["Input should be less than or equal to 500"])


class Problem(BaseModel):
    """Why a request was not done, and what to do (RFC 9457)."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"title": "Not Found", "status": 404, "detail": "there is no SLO 'ece'", "request_id": "5f1c"}]
        }
    )

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    instance: str = ""
    request_id: str = ""
    errors: list[Mistake] = []


def answers(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Return the declaration of these errors for the OpenAPI document."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def handle_problems(app: FastAPI) -> None:
    """Have every error answered as a problem."""
    app.add_exception_handler(StarletteHTTPException, _refused)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(CalsloError, _failed)
    app.add_exception_handler(Exception, _broken)


def describe_problems(app: FastAPI, *bodies: type[BaseModel]) -> None:
    """Have the OpenAPI document say what a problem, and each of these bodies, looks like, for others to refer to."""
    told = app.openapi

    def openapi() -> dict[str, Any]:
        found = told()
        models: tuple[type[BaseModel], ...] = (Problem, *bodies)
        for model in models:
            schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
            found["components"]["schemas"] |= {**schema.pop("$defs", {}), model.__name__: schema}
        return found

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way to change it


def problem(
    request: Request,
    status: int,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[Mistake] = (),
) -> Response:
    """Return the answer that says why a request was not done."""
    title = HTTPStatus(status).phrase
    request_id = request.scope.get("state", {}).get("request_id", "")
    given = dict(headers or {})
    if _wants_page(request):
        names = {"title": title, "detail": detail, "status": status, "request_id": request_id}
        return page(request, "problem.html", names, status=status, headers=given)
    told = Problem(
        title=title,
        status=status,
        detail=detail,
        instance=request.url.path,
        request_id=request_id,
        errors=list(errors),
    )
    return JSONResponse(told.model_dump(exclude_defaults=True), status, headers=given, media_type=MEDIA_TYPE)


def _wants_page(request: Request) -> bool:
    is_machine = request.url.path.startswith(("/api/", "/livez", "/readyz", "/healthz", "/metrics", "/events"))
    return not is_machine and "text/html" in request.headers.get("accept", "")


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, StarletteHTTPException)  # noqa: S101 - it is registered for these only
    return problem(request, error.status_code, str(error.detail), headers=error.headers)


async def _invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101 - it is registered for these only
    found = [
        Mistake(pointer="".join(f"/{pointed(part)}" for part in one["loc"]), detail=str(one["msg"]))
        for one in error.errors()
    ]
    said = "; ".join(f"{one.pointer}: {one.detail}" for one in found[:3])
    return problem(request, 422, said, errors=found)


def pointed(part: object) -> str:
    """Return the part of a JSON pointer that names this key or place."""
    return str(part).replace("~", "~0").replace("/", "~1")


async def _failed(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS.items() if isinstance(error, kind)), 409)
    return problem(request, status, str(error))


async def _broken(request: Request, _error: Exception) -> Response:
    # What went wrong is in the log of the server, under the request's id; it may hold what is not for everybody.
    return problem(request, 500, "this is a mistake of calslo itself; its log says more under the request id")


def missing(what: str) -> HTTPException:
    """Return the error that there is no such thing."""
    return HTTPException(404, what)
