"""The state folder of a run: files replaced atomically, so that a run that is killed can always go on."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import torch


def save_atomically(value: Any, path: Path) -> None:
    """`torch.save` to `path` so that a reader, or the next run, sees the old file or the new one, never half of one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    os.replace(partial, path)


def load(path: Path) -> Any:
    """What `save_atomically` wrote, on the CPU; None if it never did."""
    return torch.load(path, map_location="cpu", weights_only=True) if path.exists() else None


class Clock:
    """Time spent on a stage, over all its runs, against its budget (both in seconds)."""

    def __init__(self, budget: float, spent: float = 0.0):
        self.budget = budget
        self.started = time.monotonic() - spent

    @property
    def spent(self) -> float:
        """Seconds of work so far."""
        return time.monotonic() - self.started

    @property
    def share(self) -> float:
        """How much of the budget is used, 0–1."""
        return 1.0 if self.spent >= self.budget else self.spent / self.budget


class Every:
    """True once per period: `if every(): save()`."""

    def __init__(self, seconds: float):
        self.seconds = seconds
        self.last = time.monotonic()

    def __call__(self) -> bool:
        """Whether a period has passed since this was last true."""
        due = time.monotonic() - self.last >= self.seconds
        if due:
            self.last = time.monotonic()
        return due
