"""What the scenarios share: a checkpoint that is slow enough to be disturbed, and a service for the gentler ones."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checkpoints import make_tiny_checkpoint
from tests.service import Service

# So short that a test sees it run out, and so long that a busy machine keeps it.
LEASE = 10
# So long that a worker may stand still for all of a test, and nobody takes it for dead.
PATIENT = 600


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every scenario here starts, kills and awaits real processes: they are the second target, `make test-slow`."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def slow_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random checkpoint whose 50 steps take some seconds."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("slow") / "model", max_area=512**2)


@pytest.fixture(scope="module")
def service(slow_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service, for scenarios that leave it as they found it."""
    with Service(tmp_path_factory.mktemp("service") / "data", slow_model, lease=PATIENT) as running:
        yield running
