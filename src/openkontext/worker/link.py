"""What a worker tells its supervisor: JSON lines over an inherited pipe."""

import json
import os
import threading
from typing import Any

LINK = "OPENKONTEXT_LINK_FD"

# Exit status of a worker that can never start as configured (EX_CONFIG of sysexits.h): restarting it is in vain.
EXIT_MISCONFIGURED = 78
# Exit status of a worker that found itself hung (EX_TEMPFAIL).
EXIT_HUNG = 75


class Link:
    """The worker's end. Without a supervisor every message goes nowhere."""

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @classmethod
    def from_environment(cls) -> "Link":
        """The link the supervisor left in the environment, if one did."""
        descriptor = os.environ.get(LINK)
        return cls(int(descriptor) if descriptor else None)

    def send(self, event: str, **fields: Any) -> None:
        """Tell the supervisor; one that is gone is noticed elsewhere."""
        if self._descriptor is None:
            return
        line = json.dumps({"event": event} | fields).encode() + b"\n"
        with self._lock:
            try:
                os.write(self._descriptor, line)
            except (BlockingIOError, BrokenPipeError):
                pass
