"""A gateway of its own for each test: real store, real blobs, a clock that only the test moves."""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, MutableMapping
from contextlib import AsyncExitStack, ExitStack
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from openkontext.gateway import Services, create_app
from openkontext.settings import Settings
from openkontext.store import Store
from tests.gateway.harness import Clock, Gateway, Live, connect, serving


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged; a defect fails the test, unless it takes the entry out."""
    with capture_logs() as entries:
        yield entries
    assert [entry for entry in entries if entry["event"] == "defect"] == []


@pytest.fixture(scope="session")
def migrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty database of the newest schema, to be copied."""
    path = tmp_path_factory.mktemp("template") / "openkontext.db"
    store = Store.open(path)
    store.migrate()
    store.close()
    return path


@pytest.fixture
def open_services(migrated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Services]:
    """Opens the gateway's parts with settings of the test's choice."""
    for name in [name for name in os.environ if name.startswith("OPENKONTEXT_")]:
        monkeypatch.delenv(name)

    def open_with(**settings: Any) -> Services:
        data = tmp_path / "data"
        data.mkdir()
        shutil.copy(migrated, data / "openkontext.db")
        return Services.open(Settings(data=data, **settings))

    return open_with


@pytest.fixture
async def start(open_services: Callable[..., Services]) -> AsyncIterator[Callable[..., Awaitable[Gateway]]]:
    """Starts a gateway in this process, with settings of the test's choice."""
    async with AsyncExitStack() as stack:

        async def start(services: Services | None = None, **settings: Any) -> Gateway:
            services = services or open_services(**settings)
            services.store.clock = Clock()
            app = create_app(services)
            await stack.enter_async_context(app.router.lifespan_context(app))
            account = services.store.create_account("someone")
            services.store.add_credits(account.id, 10_000_000)
            key, secret = services.store.create_key(account.id, rpm=None)
            http = await stack.enter_async_context(connect(app, secret))
            return Gateway(services, app, http, account, key, secret)

        yield start


@pytest.fixture
async def gateway(start: Callable[..., Awaitable[Gateway]]) -> Gateway:
    return await start()


@pytest.fixture
def serve(open_services: Callable[..., Services]) -> Iterator[Callable[..., Live]]:
    """Starts a gateway on a real socket, with settings of the test's choice."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(serving(open_services(**settings)))


@pytest.fixture
def live(serve: Callable[..., Live]) -> Live:
    return serve()
