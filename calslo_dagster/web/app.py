"""The web application: pages, REST API, answers to alerts, and what machines ask; one factory assembles it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from calslo_dagster import __version__
from calslo_dagster.pipeline.project import Project
from calslo_dagster.web import events, health
from calslo_dagster.web.answers import answers_app
from calslo_dagster.web.api import alerts as api_alerts
from calslo_dagster.web.api import history as api_history
from calslo_dagster.web.api import ingest as api_ingest
from calslo_dagster.web.api import slos as api_slos
from calslo_dagster.web.api.models.ingest import EventBatch, LabelBatch
from calslo_dagster.web.assets import static
from calslo_dagster.web.events import News
from calslo_dagster.web.front import Front
from calslo_dagster.web.limits import Meter, Metered
from calslo_dagster.web.pages import alerts, api_docs, embed, overview, people, slo
from calslo_dagster.web.problems import describe_problems, handle_problems
from calslo_dagster.web.security import Shield
from calslo_dagster.web.signing import signer_of

# Below this an answer costs more to compress than to send.
_COMPRESSED_FROM: Final = 700
_DESCRIPTION: Final = "Service level objectives for the calibration of production models."


def app(project: Callable[[], Project], now: Callable[[], datetime]) -> ASGIApp:
    """Return the application over the project, which is asked for at each request, by the clock `now`."""
    settings = project().settings
    front = Front(project, now, signer_of(settings), Meter(settings.web.requests_per_minute))
    inner = _inner(front)
    inner.state.front, inner.state.news = front, News(front)
    metered = Metered(GZipMiddleware(inner, minimum_size=_COMPRESSED_FROM), front.meter)
    return Shield(metered, settings.web.embedded_by)


def _inner(front: Front) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        front.drawing.close()

    made = FastAPI(
        title="calslo",
        version=__version__,
        description=_DESCRIPTION,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
    )
    handle_problems(made)
    describe_problems(made, EventBatch, LabelBatch)
    pages = (health, overview, slo, alerts, people, embed, api_docs, events)
    for part in (*pages, api_slos, api_history, api_alerts, api_ingest):
        made.include_router(part.router)
    made.router.routes.append(Route("/static/{name}", static))
    answers = answers_app(front.project, front.now)
    made.router.routes.extend(one for one in answers.routes if isinstance(one, Route) and one.path != "/livez")
    return made
