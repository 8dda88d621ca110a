"""A child of the supervisor, without a model: ``child.py WORD …``, done in order. Starts quickly (`python -S`)."""

import json
import os
import signal
import sys
import time
from pathlib import Path

LINK = int(os.environ["OPENKONTEXT_LINK_FD"])


def main() -> None:
    for word in sys.argv[1:]:
        name, _, value = word.partition("=")
        ACTIONS[name](value)


def say(event: str, **fields: str) -> None:
    os.write(LINK, json.dumps({"event": event} | fields).encode() + b"\n")


def ready(_: str) -> None:
    say("ready")


def fatal(message: str) -> None:
    say("fatal", message=message)


def end(status: str) -> None:
    sys.exit(int(status))


def end_unless(path: str) -> None:
    if not Path(path).exists():
        sys.exit(1)


def pulse(path: str) -> None:
    """For ever; the file grows by a byte each time."""
    while True:
        say("pulse")
        with open(path, "a") as file:
            file.write(".")
        time.sleep(0.1)


def rest(_: str) -> None:
    while True:
        signal.pause()


def deaf(_: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


ACTIONS = {
    "ready": ready,
    "fatal": fatal,
    "end": end,
    "end_unless": end_unless,
    "pulse": pulse,
    "rest": rest,
    "deaf": deaf,
}

if __name__ == "__main__":
    main()
