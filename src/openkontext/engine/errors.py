"""What the engine raises of its own.

    Exception
    ├── CheckpointError   the checkpoint can't be had or can't be used: says what to do about it
    └── Cancelled         raised by the caller's `on_step` to stop an edit; the engine only lets it through

A wrong argument of an edit (a seed out of range, sides beyond 4:1, a blank prompt) is a ValueError.
"""


class CheckpointError(Exception):
    """A checkpoint can't be had or can't be used.

    Attributes:
        checkpoint: what was asked for: a name, a folder or a Hugging Face id.
    """

    def __init__(self, checkpoint: str, why: str) -> None:
        super().__init__(f"checkpoint {checkpoint}: {why}")
        self.checkpoint = checkpoint


class Cancelled(Exception):
    """An edit was stopped between two steps, from inside `on_step`."""
