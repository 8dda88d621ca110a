"""The supervisor: children that die are started again, silent ones killed, hopeless ones reported."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from openkontext.store import Store
from openkontext.worker import supervisor as module
from openkontext.worker.link import EXIT_MISCONFIGURED
from openkontext.worker.supervisor import Child, Misconfigured, Supervisor
from tests.service import eventually

SCRIPT = Path(__file__).with_name("child.py")


class Watched:
    """A supervisor of one child that does ``words``, and what it heard."""

    def __init__(self, store: Store, *words: str, silence: float = 60, drain: float = 20) -> None:
        self.names: list[str] = []
        self.deaths: list[str] = []
        self.child = Child("worker", "worker-0", lambda name: self._command(name, words))
        self.supervisor = Supervisor(store, [self.child], silence=silence, drain=drain, on_event=self._hear)
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run)

    def stop(self) -> None:
        """Stop it and wait for its end."""
        self.supervisor.stop()
        self.thread.join()

    def _command(self, name: str, words: tuple[str, ...]) -> list[str]:
        self.names.append(name)
        return [sys.executable, "-S", str(SCRIPT), *words]

    def _hear(self, child: Child, event: dict[str, Any]) -> None:
        if event["event"] == "dead":
            self.deaths.append(event["message"])

    def _run(self) -> None:
        try:
            self.supervisor.run()
        except Misconfigured as error:
            self.error = error


@pytest.fixture
def watch(store: Store, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watched]]:
    """Starts a supervisor, which is stopped after the test."""
    monkeypatch.setattr(module, "BACKOFF_FIRST", 0.05)
    started: list[Watched] = []

    def start(*words: str, **options: float) -> Watched:
        watched = Watched(store, *words, **options)
        started.append(watched)
        watched.thread.start()
        return watched

    yield start
    for watched in started:
        watched.stop()


def test_dead_worker_is_replaced_and_its_lease_ended(watch, store: Store, submit):
    """By another process under another name, which may claim the job at once."""
    job = submit()
    watched = watch("ready", "rest")
    eventually(lambda: watched.child.ready_at)
    first = watched.child.name
    assert job.id == store.claim(first).job_id
    watched.child.process.kill()
    eventually(lambda: len(watched.names) == 2 and watched.child.ready_at)
    assert ["ended by signal 9 (Killed)"] == watched.deaths
    assert first != watched.child.name
    assert 2 == store.claim(watched.child.name).attempt


def test_crash_loop_is_reported_and_taken_back(watch, store: Store, tmp_path: Path):
    """After three deaths in a row the register says why; once a worker comes up it says so no more."""
    watched = watch(f"end_unless={tmp_path / 'mended'}", "ready", "rest")
    [row] = eventually(store.workers)
    assert ("worker-0", "crashed", "exited with status 1") == (row.id, row.state, row.message)
    assert 3 <= len(watched.deaths)
    (tmp_path / "mended").touch()
    eventually(lambda: not store.workers())


def test_last_words_are_the_reason(watch, store: Store):
    """What a worker says before it ends tells more than its exit status."""
    watched = watch("fatal=out of luck", "end=70")
    eventually(lambda: len(watched.deaths) >= 2)
    assert {"out of luck"} == set(watched.deaths)


def test_misconfigured_from_the_start_ends_it(watch, store: Store):
    """No restart can help: it is for whoever started it to read."""
    watched = watch("fatal=no such checkpoint", f"end={EXIT_MISCONFIGURED}")
    watched.thread.join(60)
    assert ("no such checkpoint", 1) == (str(watched.error), len(watched.names))


def test_misconfigured_later_is_reported_and_tried_again(watch, store: Store, tmp_path: Path):
    """It worked before, so it may work again; meanwhile the service answers."""
    flag = tmp_path / "first"
    flag.touch()
    watched = watch(f"end_unless={flag}", "ready", "rest")
    eventually(lambda: watched.child.ready_at)
    flag.unlink()
    watched.child.command = lambda name: [
        sys.executable, "-S", str(SCRIPT), "fatal=no such checkpoint", f"end={EXIT_MISCONFIGURED}",
    ]  # fmt: skip
    watched.child.process.kill()
    [row] = eventually(store.workers)
    assert ("crashed", "no such checkpoint", None) == (row.state, row.message, watched.error)


def test_what_a_supervisor_before_said_is_forgotten(watch, store: Store):
    """A worker that crashed yesterday is no reason to be unready today."""
    store.report_worker("worker-0", state="crashed", message="yesterday")
    watched = watch("rest")
    eventually(lambda: watched.names)
    assert [] == store.workers()


def test_silent_worker_is_killed(watch):
    """It was ready, and then not heard of."""
    watched = watch("ready", "rest", silence=0.5)
    eventually(lambda: watched.deaths)
    assert "silent for 0.5 s" == watched.deaths[0]


def test_child_that_does_not_drain_is_killed(watch):
    """When the drain time is over."""
    watched = watch("deaf", "ready", "rest", drain=0.3)
    eventually(lambda: watched.child.ready_at)
    process = watched.child.process
    watched.stop()
    assert -signal.SIGKILL == process.returncode


def test_supervisor_that_stood_still_kills_nobody(database: Path, store: Store, tmp_path: Path):
    """Stopped for longer than its patience, by Ctrl-Z say, it first reads what its workers said meanwhile."""
    pulses, deaths = tmp_path / "pulses", tmp_path / "deaths"
    deaths.touch()
    script = Path(__file__).with_name("supervising.py")
    process = subprocess.Popen([sys.executable, str(script), str(database), str(pulses), str(deaths)])
    children: list[psutil.Process] = []
    try:
        eventually(lambda: pulses.exists() and pulses.stat().st_size > 3)
        children = psutil.Process(process.pid).children()
        for _ in range(3):
            process.send_signal(signal.SIGSTOP)
            said = pulses.stat().st_size
            eventually(lambda said=said: pulses.stat().st_size > said + 15)
            process.send_signal(signal.SIGCONT)
            said = pulses.stat().st_size
            eventually(lambda said=said: pulses.stat().st_size > said + 5)
        assert "" == deaths.read_text()
    finally:
        for each in (process, *children):
            os.kill(each.pid, signal.SIGKILL)
        process.wait()
