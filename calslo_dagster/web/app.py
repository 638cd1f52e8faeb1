"""The web application: pages, REST API, answers to alerts, and what machines ask; one factory assembles it."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Route
from starlette.types import ASGIApp

from calslo_dagster import __version__
from calslo_dagster.pipeline.project import Project
from calslo_dagster.web import events, health
from calslo_dagster.web.answers import answers_app
from calslo_dagster.web.api import alerts as api_alerts
from calslo_dagster.web.api import exports as api_exports
from calslo_dagster.web.api import history as api_history
from calslo_dagster.web.api import ingest as api_ingest
from calslo_dagster.web.api import slos as api_slos
from calslo_dagster.web.api.ingest_models import EventBatch, LabelBatch
from calslo_dagster.web.assets import static
from calslo_dagster.web.events import News
from calslo_dagster.web.front import Front
from calslo_dagster.web.limits import Meter, Metered
from calslo_dagster.web.pages import alerts, api_docs, embed, files, overview, people, views
from calslo_dagster.web.problems import describe_problems, handle_problems
from calslo_dagster.web.security import Shield
from calslo_dagster.web.signing import signer_of
from calslo_dagster.web.workshop import Workshop

# Below this an answer costs more to compress than to send.
_COMPRESSED_FROM: Final = 700
# From here on a page gets a few percent smaller and takes three times as long.
_COMPRESSED_BY: Final = 4
_PARTS: Final = (
    *(health, overview, views, files, alerts, people, embed, api_docs, events),
    *(api_slos, api_history, api_alerts, api_exports, api_ingest),
)
# Each has a connection to the store and memory of its own; more would wait for each other on two cores.
_THREADS: Final = 12
_DESCRIPTION: Final = "Service level objectives for the calibration of production models."


def app(project: Callable[[], Project], now: Callable[[], datetime]) -> ASGIApp:
    """Return the application over the project, which is asked for at each request, by the clock `now`."""
    settings = project().settings
    workshop = Workshop(lambda: project().settings)
    front = Front(project, now, signer_of(settings), Meter(settings.web.requests_per_minute), workshop)
    inner = _inner(front)
    inner.state.front, inner.state.news = front, News(front)
    metered = Metered(GZipMiddleware(inner, minimum_size=_COMPRESSED_FROM, compresslevel=_COMPRESSED_BY), front.meter)
    return Shield(metered, settings.web.embedded_by)


def _inner(front: Front) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        front.workshop.warm_up()
        yield
        front.workshop.close()

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
    for part in _PARTS:
        made.include_router(part.router)
    made.router.routes.append(Route("/static/{name}", static))
    answers = answers_app(front.project, front.now)
    made.router.routes.extend(one for one in answers.routes if isinstance(one, Route) and one.path != "/livez")
    return made
