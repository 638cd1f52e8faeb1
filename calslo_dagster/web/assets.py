"""The style sheet, scripts and icon, read once; their addresses change when they do, so that browsers keep them."""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from calslo_dagster.exports.look import stylesheet
from calslo_dagster.web.problems import missing

_TYPES: Final = {"css": "text/css", "js": "text/javascript", "svg": "image/svg+xml"}
_FOR_EVER: Final = "public, max-age=31536000, immutable"
NAMES: Final = ("app.css", "app.js", "htmx.min.js", "icon.svg")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file that pages load."""

    content: bytes
    media_type: str
    version: str


@cache
def assets() -> dict[str, Asset]:
    """Return the files by name; the style sheet begins with the colours of the themes."""
    folder = files("calslo_dagster.web") / "static"
    found = {name: (folder / name).read_bytes() for name in NAMES}
    found["app.css"] = stylesheet().encode()
    return {
        name: Asset(content, _TYPES[name.rpartition(".")[2]], sha256(content).hexdigest()[:12])
        for name, content in found.items()
    }


def address(name: str) -> str:
    """Return the path of a file."""
    return f"/static/{name}?v={assets()[name].version}"


async def static(request: Request) -> Response:
    """Answer with a file."""
    asset = assets().get(request.path_params["name"])
    if asset is None:
        raise missing("there is no such file")
    is_current = request.query_params.get("v") == asset.version
    headers = {"Cache-Control": _FOR_EVER if is_current else "no-cache", "ETag": f'"{asset.version}"'}
    return Response(asset.content, headers=headers, media_type=asset.media_type)
