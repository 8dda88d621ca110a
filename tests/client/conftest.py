"""Fixtures of the client's tests: every scenario runs with the blocking client and with the asyncio one."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.client.parts import Harness, SmallServer


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the person who runs the tests counts, proxies included."""
    for name in (
        "OPENKONTEXT_API_KEY",
        "OPENKONTEXT_BASE_URL",
        "SEGMIND_API_KEY",
        "HTTP_PROXY",
        "http_proxy",
        "ALL_PROXY",
    ):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(params=["blocking", "asyncio"])
def sdk(request: pytest.FixtureRequest) -> Iterator[Harness]:
    """A harness for each kind of client."""
    with asyncio.Runner() as runner:
        harness = Harness(request.param, runner)
        yield harness
        harness.close()


@pytest.fixture
def server() -> Iterator[SmallServer]:
    """A running small server."""
    running = SmallServer()
    yield running
    running.close()
