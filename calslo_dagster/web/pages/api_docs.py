"""The page that says what the REST API can do: from its own OpenAPI document, without anybody else's scripts."""

from typing import Final

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.web.access import form_token
from calslo_dagster.web.front import front_of
from calslo_dagster.web.pages.overview import Reader
from calslo_dagster.web.templating import page

router: Final = APIRouter(include_in_schema=False)


@router.get("/api/docs")
def docs(request: Request, person: Reader) -> Response:
    """List every operation with what it takes."""
    found = request.app.openapi()
    names = {
        "operations": [
            {"method": method.upper(), "path": path, **told}
            for path, methods in sorted(found["paths"].items())
            for method, told in methods.items()
        ],
        "person": person,
        "form_token": form_token(front_of(request), person),
    }
    return page(request, "api.html", names)
