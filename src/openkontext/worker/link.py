"""What a worker tells its supervisor: JSON lines over an inherited pipe."""

import json
import os
from typing import Any

LINK = "OPENKONTEXT_LINK_FD"

# Exit statuses, of sysexits.h. EX_CONFIG: the worker can never start as configured, so restarting it is in vain.
EXIT_MISCONFIGURED = 78
# EX_TEMPFAIL: it found itself hung.
EXIT_HUNG = 75
# EX_SOFTWARE: its device or its heartbeat failed for good; a fresh process may do better.
EXIT_BROKEN = 70

# A pipe takes a message this short whole or not at all, from any thread.
_LONGEST = 300


class Link:
    """The worker's end. Without a supervisor every message goes nowhere."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            # A supervisor that was stopped reads nothing; its workers work on.
            os.set_blocking(descriptor, False)

    @classmethod
    def from_environment(cls) -> "Link":
        """The link the supervisor left in the environment, if one did."""
        descriptor = os.environ.get(LINK)
        return cls(int(descriptor) if descriptor else None)

    @property
    def supervised(self) -> bool:
        """Whether there is a supervisor to hear."""
        return self._descriptor is not None

    def send(self, event: str, **fields: Any) -> None:
        """Tell the supervisor; one that is gone, or does not listen, is noticed elsewhere."""
        if self._descriptor is None:
            return
        short = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in fields.items()}
        try:
            os.write(self._descriptor, json.dumps({"event": event} | short).encode() + b"\n")
        except (BlockingIOError, BrokenPipeError):
            pass
