"""Fixtures of the engine's tests: a tiny random checkpoint, and an engine on it."""

from pathlib import Path

import pytest
import torch
from PIL import Image

from openkontext.engine import Engine
from tests.checkpoints import make_tiny_checkpoint
from tests.engine.pictures import colourful


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Matrices this small gain nothing from a second thread, and on a busy machine it slows them several times."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny_checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny random checkpoint; not to be changed."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("checkpoints") / "tiny")


@pytest.fixture(scope="session")
def engine(tiny_checkpoint: Path) -> Engine:
    """An engine on the tiny checkpoint, shared: edits leave nothing behind, which a test proves."""
    return Engine.load(tiny_checkpoint, device="cpu")


@pytest.fixture
def picture() -> Image.Image:
    """A colourful picture of 160 x 120 pixels."""
    return colourful(160, 120)
