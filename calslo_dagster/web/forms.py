"""The forms of pages: small, as browsers send them without JavaScript."""

from urllib.parse import parse_qsl, urlsplit

from fastapi import HTTPException
from starlette.requests import Request

_MOST_FIELDS = 20


async def form_of(request: Request) -> dict[str, str]:
    """Return the fields of the form that was sent; the first one where a name comes twice."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "send this as a form")
    body = (await request.body()).decode(errors="replace")
    try:
        found = parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(400, f"the form cannot be read: {error}") from error
    return dict(reversed(found))


def own_path(text: str) -> str:
    """Return the path if it is one of ours, else the front page, so that no link of ours leads elsewhere."""
    parts = urlsplit(text)
    is_ours = text.startswith("/") and not text.startswith(("//", "/\\")) and not parts.scheme and not parts.netloc
    return text if is_ours and text.isprintable() and "\\" not in text else "/"
