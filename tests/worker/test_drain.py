"""An operator drains a worker, and has it resume; the loop is the real one."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from openkontext.contract import State
from openkontext.engine import Engine
from openkontext.store import Claim, Job, Store
from openkontext.worker.job import Desk
from tests.service import eventually
from tests.worker.conftest import hooked, working


class Watched(Store):
    """Tells that a worker asked for a job, and whether one was there that it didn't get.

    Nobody who waits for a change looks without one.
    """

    asked: threading.Event
    passed_over: threading.Event

    def claim(self, worker: str) -> Claim | None:
        waiting = self.queue_depth()
        claim = super().claim(worker)
        self.asked.set()
        if waiting and claim is None:
            self.passed_over.set()
        return claim

    def wait(self, seen: int | None, timeout: float) -> int | None:
        return super().wait(seen, timeout=600)


@pytest.fixture
def watched(database: Path, store: Store) -> Iterator[Watched]:
    """The worker's own connection to the store."""
    watched = Watched.open(database, settings=store.settings)
    watched.asked, watched.passed_over = threading.Event(), threading.Event()
    yield watched
    watched.close()


@pytest.fixture
def worker(watched: Watched, store: Store, desk: Desk) -> Iterator[Watched]:
    """A worker that is idle."""
    with capture_logs(), working(watched, desk) as worker:
        assert watched.asked.wait(60)
        yield watched
        worker.stop()
        # So that it wakes up, and ends.
        store.report_worker("worker-b", state="stopped")


def state(store: Store) -> str:
    (worker,) = store.workers()
    return worker.state


def is_now(store: Store, job: Job, expected: State) -> bool:
    found = store.job(job.id, job.account_id)
    return found is not None and found.state is expected


def test_an_idle_worker_takes_no_more(submit: Callable[..., Job], store: Store, worker: Watched):
    """It is drained at once; it learns of the job that is there for it, and does not get it."""
    store.drain("worker-a")
    assert "drained" == state(store)
    job = submit()
    assert worker.passed_over.wait(60)
    assert is_now(store, job, State.QUEUED)


def test_it_resumes_at_once(submit: Callable[..., Job], store: Store, worker: Watched):
    """The change itself wakes it: nothing else happens, and it doesn't look by itself."""
    store.drain("worker-a")
    job = submit()
    assert worker.passed_over.wait(60)
    store.drain("worker-a", wanted=False)
    assert "ready" == state(store)
    eventually(lambda: is_now(store, job, State.COMPLETED))


def test_a_busy_worker_ends_its_edit(submit: Callable[..., Job], store: Store, worker: Watched, engine: Engine):
    """It is draining until then, and the next edit waits for another worker."""
    states, drained = [], threading.Event()

    def drain(*_: object) -> None:
        if not drained.is_set():
            store.drain("worker-a")
            drained.set()
        states.append(state(store))

    with hooked(engine, drain):
        first = submit()
        assert drained.wait(60)
        second = submit()
        eventually(lambda: is_now(store, first, State.COMPLETED))
    assert ({"draining"}, "drained") == (set(states), state(store))
    assert worker.passed_over.wait(60)
    assert is_now(store, second, State.QUEUED)
    claim = store.claim("worker-b")
    assert claim is not None
    assert second.id == claim.job_id
