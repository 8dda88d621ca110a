"""The model as a library, knowing nothing of the service: `Engine.load("nano").edit(image, "make it snow")`.

It needs the `[serve]` extra (torch, diffusers, transformers).
"""

from openkontext.engine.checkpoint import Checkpoint, load_checkpoint
from openkontext.engine.configuration import Configuration
from openkontext.engine.engine import EditResult, Engine, Step
from openkontext.engine.errors import Cancelled, CheckpointError

__all__ = [
    "Cancelled",
    "Checkpoint",
    "CheckpointError",
    "Configuration",
    "EditResult",
    "Engine",
    "Step",
    "load_checkpoint",
]
