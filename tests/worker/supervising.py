"""A supervisor in a process of its own, so that it can be stopped: ``supervising.py DATABASE PULSES DEATHS``."""

import sys
from pathlib import Path
from typing import Any

from openkontext.store import Store
from openkontext.worker.supervisor import Child, Supervisor

CHILD = Path(__file__).with_name("child.py")


def main() -> None:
    database, pulses, deaths = sys.argv[1:]

    def hear(child: Child, event: dict[str, Any]) -> None:
        if event["event"] == "dead":
            with open(deaths, "a") as file:
                file.write(event["message"])

    child = Child("worker", "worker-0", lambda name: [sys.executable, "-S", str(CHILD), "ready", f"pulse={pulses}"])
    Supervisor(Store.open(database), [child], silence=1, drain=1, on_event=hear).run()


if __name__ == "__main__":
    main()
