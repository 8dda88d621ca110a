"""One service for the scenarios that don't disturb it."""

from pathlib import Path

import pytest

from tests.checkpoints import make_tiny_checkpoint
from tests.end_to_end.web import picture_server
from tests.service import Service


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint that edits at 128 x 128 within a second."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("checkpoint"), max_area=128**2)


@pytest.fixture(scope="session")
def pictures():
    """A web server on loopback with pictures and traps; its address."""
    with picture_server() as address:
        yield address


@pytest.fixture(scope="session")
def service(tiny, pictures, tmp_path_factory):
    """A service that may fetch from `pictures`, and from no other private address."""
    host = pictures.removeprefix("http://")
    with Service(tmp_path_factory.mktemp("service") / "data", tiny, fetch_allow_hosts=host) as running:
        yield running


@pytest.fixture
def http(service):
    """An HTTP client with the service's key."""
    with service.client() as client:
        yield client
