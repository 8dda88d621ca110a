"""The real service for tests: `openkontext serve` as a process of its own, on a free port, with its own data folder."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx
import psutil

READY = re.compile(r"ready\s+(http://\S+)")


def eventually(what: Callable[[], Any], *, within: float = 120.0, every: float = 0.02) -> Any:
    """The first true value of ``what``; fails after ``within`` seconds."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        if value := what():
            return value
        time.sleep(every)
    raise AssertionError(f"not within {within} s: {what}")


def environment(data: Path, model: Path | str, **settings: object) -> dict[str, str]:
    """The environment of a `serve` process: these settings and none of the shell's."""
    chosen = {"port": 0, "threads": 1, "model": model, "data": data} | settings
    clean = {name: value for name, value in os.environ.items() if not name.startswith("OPENKONTEXT_")}
    return clean | {f"OPENKONTEXT_{name.upper()}": str(value) for name, value in chosen.items()}


class Service:
    """A running `openkontext serve`; settings are given by name, as in `Settings`.

    ``under`` is a command that runs the one behind it, in surroundings of its own.
    """

    def __init__(self, data: Path, model: Path | str, *, under: Sequence[str] = (), **settings: object) -> None:
        self.data = data
        self._lines: list[str] = []
        self.process = subprocess.Popen(
            [*under, sys.executable, "-m", "openkontext", "serve"],
            env=environment(data, model, **settings),
            cwd=data.parent,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.url = ""

    def __enter__(self) -> "Service":
        try:
            self.url = eventually(self._address, within=120)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def output(self) -> str:
        """What it printed so far."""
        return "".join(self._lines)

    @property
    def key(self) -> str:
        """The key of the account `local`."""
        return (self.data / "api-key").read_text().strip()

    def client(self, **options: Any) -> httpx.Client:
        """An HTTP client with the key."""
        return httpx.Client(base_url=self.url, headers={"x-api-key": self.key}, timeout=60, **options)

    def child(self, role: str) -> psutil.Process:
        """The running child of a role, `gateway` or `worker`."""

        def find() -> psutil.Process | None:
            for child in psutil.Process(self.process.pid).children():
                try:
                    if role in child.cmdline():
                        return child
                except psutil.NoSuchProcess:
                    continue
            return None

        found: psutil.Process = eventually(find)
        return found

    def stop(self, number: int = signal.SIGINT, *, within: float = 60) -> int:
        """Ask it to stop; its exit status."""
        self.process.send_signal(number)
        status = self.process.wait(within)
        self._reader.join()
        return status

    def close(self) -> None:
        """End it and its children, whatever state they are in."""
        try:
            family = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        except psutil.NoSuchProcess:
            family = []
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                pass
        for process in family:
            try:
                process.kill()
            except psutil.NoSuchProcess:
                pass
        self.process.wait()
        self._reader.join()
        assert self.process.stderr
        self.process.stderr.close()

    def _address(self) -> str | None:
        if self.process.poll() is not None:
            self._reader.join()
            raise AssertionError(f"serve ended with status {self.process.returncode}:\n{self.output}")
        found = READY.search(self.output)
        return found and found[1]

    def _read(self) -> None:
        assert self.process.stderr
        for line in self.process.stderr:
            self._lines.append(line)
