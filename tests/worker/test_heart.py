"""The heartbeat: it tells while there is something to tell, and ends a process in which nothing moves."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from openkontext.store import Claim, Store
from openkontext.worker.heart import Heart, Progress
from openkontext.worker.link import EXIT_BROKEN, EXIT_HUNG, LINK, Link
from openkontext.worker.previews import Previews
from tests.service import eventually

HEARTS = Path(__file__).with_name("hearts.py")


@pytest.fixture
def listen(database: Path, submit) -> Callable[[str], tuple[int, list[dict], str]]:
    """Runs a heart in a process of its own until it ends: the exit status, what it told, and its log."""

    def listen(what: str) -> tuple[int, list[dict], str]:
        submit()
        reader, writer = os.pipe()
        environment = os.environ | {LINK: str(writer)}
        command = [sys.executable, str(HEARTS), str(database), what]
        ended = subprocess.run(
            command, env=environment, pass_fds=[writer], stderr=subprocess.PIPE, text=True, timeout=60
        )
        os.close(writer)
        with open(reader) as pipe:
            return ended.returncode, [json.loads(line) for line in pipe], ended.stderr

    return listen


def test_hung_model_ends_the_process(listen):
    """The supervisor hears why, and what could be done if it was only slow."""
    status, told, _ = listen("sleep")
    assert EXIT_HUNG == status
    assert {"event": "pulse"} in told
    assert "fatal" == told[-1]["event"]
    assert "hung for 1 s at the first step; if the device is only slow, raise the step timeout" in told[-1]["message"]


def test_model_that_stops_the_heart_too_ends_the_process(listen):
    """Without a supervisor to miss its pulse: a timer that needs no interpreter; it leaves every thread's trace."""
    status, told, log = listen("hold")
    assert 1 == status
    assert [] == [event for event in told if event["event"] != "pulse"]
    assert "Timeout" in log
    assert "in hold" in log


def test_heart_that_fails_ends_the_process(listen):
    """A worker without one would claim jobs and lose them, one after the other."""
    status, told, log = listen("fail")
    assert EXIT_BROKEN == status
    assert "its heartbeat failed: ArithmeticError" in told[-1]["message"]
    assert "a defect of the heartbeat itself" in log


def test_beats_renew_the_lease_and_carry_progress_and_cancel(store: Store, submit):
    """The step is seen by others, the lease moves on, and a cancel comes back with the answer."""
    job, claim = submit(steps=35), store.claim("worker")
    progress = Progress(claim, 600, 0.0, Previews(lambda image: True))
    heart = Heart(store, Link(None), lambda progress: None, lease=0.3)
    heart.follow(progress)
    heart.start()
    progress.mark(3, 35)
    eventually(lambda: store.job(job.id, job.account_id).step == 3)
    assert not progress.cancelled
    store.cancel(job.id, job.account_id)
    eventually(lambda: progress.cancelled)
    store.abandon("worker")
    eventually(lambda: progress.lost)
    heart.stop()


class Noted(Store):
    """Notes the beats."""

    def beat(self, claim: Claim, **said: Any) -> bool:
        cancel = super().beat(claim, **said)
        self.__dict__.setdefault("beats", []).append(said)
        return cancel


@pytest.fixture
def noted(store: Store, database: Path) -> Iterator[Noted]:
    noted = Noted.open(database, settings=store.settings)
    yield noted
    noted.close()


@contextmanager
def followed(noted: Noted, progress: Progress, beats: int) -> Iterator[list[dict[str, Any]]]:
    """What a heart of this progress says in its first beats."""
    heart = Heart(noted, Link(None), lambda progress: None, lease=0.3)
    heart.follow(progress)
    heart.start()
    try:
        yield eventually(lambda: len(said := noted.__dict__.get("beats", [])) >= beats and said)
    finally:
        heart.stop()


def test_beat_before_the_first_step_leaves_the_steps_that_were_asked_for(noted: Noted, submit):
    """The model has said nothing of them yet."""
    job, claim = submit(steps=35), noted.claim("worker")
    with followed(noted, Progress(claim, 600, 0.0, Previews(lambda image: True)), 1):
        found = noted.job(job.id, job.account_id)
        assert (0, 35) == (found.step, found.steps)


def test_preview_goes_out_with_its_own_step(noted: Noted, submit):
    """The steps done since then follow with the next beat; and a picture goes out once."""
    job, claim = submit(steps=35), noted.claim("worker")
    progress = Progress(claim, 600, 0.0, Previews(lambda image: True))
    progress.previews.look(3, lambda: Image.new("RGB", (8, 8)))
    progress.mark(5, 35)
    with followed(noted, progress, 2) as beats:
        assert [(3, True), (5, False)] == [(said["step"], said["preview"] is not None) for said in beats[:2]]
        shown = noted.progress(job.id, job.account_id)
        assert (5, 3) == (shown.job.step, shown.preview_step)
        assert shown.preview.startswith("data:image/jpeg;base64,")


def test_link_that_nobody_reads_holds_nothing_up():
    """A supervisor that stands still, or is gone, loses messages; its workers work on."""
    reader, writer = os.pipe()
    link = Link(writer)
    for _ in range(5000):
        link.send("pulse")
    assert 64 * 1024 >= len(os.read(reader, 1_000_000)) > 60 * 1024
    link.send("fatal", message="x" * 100_000)
    assert 1024 > len(os.read(reader, 1_000_000))
    os.close(reader)
    link.send("pulse")
    os.close(writer)
