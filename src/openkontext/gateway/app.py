"""The ASGI app."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache

from anyio import to_thread
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from . import (
    account,
    errors,
    estimate,
    events,
    files,
    health,
    history,
    keys,
    models,
    openai,
    operator,
    pages,
    replay,
    uploads,
    v1,
    v2,
    webhooks,
)
from .board import Board
from .deliverer import Deliverer
from .headers import with_usual_headers
from .janitor import Janitor
from .limits import BodyLimit
from .openapi import describe
from .services import Services


class _App(FastAPI):
    """An app of whose answers none goes without the usual headers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Around everything: what is added as a middleware doesn't see the answer to a defect.
        await super().__call__(scope, receive, with_usual_headers(send))


def create_app(services: Services) -> FastAPI:
    """The gateway over ``services``, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        janitor, deliverer = Janitor(services), Deliverer(services)
        services.watcher.start()
        janitor.start()
        deliverer.start()
        yield
        await services.watcher.stop()
        await to_thread.run_sync(janitor.stop)
        await to_thread.run_sync(deliverer.stop)
        services.store.close()

    # The reference pages of FastAPI load scripts from a CDN; a service that works offline doesn't.
    # A redirect to the path without its slash would be to the scheme and host that we see, not to the client's.
    app = _App(title="openkontext", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.openapi = lru_cache(lambda: describe(app))  # type: ignore[method-assign]  # as FastAPI's docs have it
    app.state.services = services
    app.state.board = Board(services)
    app.add_middleware(BodyLimit, limit=int(services.settings.max_body_mb * 1e6))
    errors.install(app)
    # The first that matches answers: fixed paths come before those with a slug in them.
    for module in (
        openai,
        webhooks,
        account,
        keys,
        history,
        replay,
        operator,
        events,
        uploads,
        estimate,
        v1,
        v2,
        models,
        files,
        health,
        pages,
    ):
        app.include_router(module.router)
    return app
