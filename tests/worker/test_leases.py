"""A worker and its lease: lost, cancelled, given back, and held through an outage of the store."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from openkontext.contract import State
from openkontext.media.blobs import Blobs
from openkontext.store import Claim, Job, LeaseLost, Store, StoreUnavailable
from openkontext.worker.job import Desk
from tests.service import eventually
from tests.worker.conftest import PRICE, Harmless, hooked, moderated, working


@contextmanager
def held_up(database: Path) -> Iterator[None]:
    """Nobody else can write to the database meanwhile."""
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.close()


def said(logs: list[Any], event: str, **fields: object) -> bool:
    """Whether a line of the log says ``event`` with these fields."""
    return any(line | fields == line and event == line["event"] for line in logs)


def test_output_of_a_lost_lease_is_deleted(submit, store: Store, desk: Desk, blobs: Blobs):
    """Another took the job while the picture was being checked: what is stored after that is nobody's."""
    job = submit()
    claims: list[Claim | None] = []

    def lose_it() -> None:
        store.abandon("worker-a")
        claims.append(store.claim("worker-b"))

    with capture_logs() as logs, working(store, replace(desk, moderator=moderated(Harmless(output=lose_it)))):
        eventually(lambda: said(logs, "lease lost", request_id=job.id))
    assert [2] == [claim.attempt for claim in claims if claim]
    assert not blobs.exists(f"outputs/{job.id}/1.png")
    assert State.PROCESSING is store.job(job.id, job.account_id).state
    store.finish(claims[0], {"metrics": {}})
    assert 99 * PRICE == store.balance(job.account_id)


class Watched(Store):
    """Tells when a heartbeat was refused."""

    def beat(self, claim: Claim, **progress: Any) -> bool:
        try:
            return super().beat(claim, **progress)
        except LeaseLost:
            self.refused.set()
            raise


def test_lost_lease_ends_the_edit_at_the_next_step(submit, store: Store, desk: Desk, database: Path, engine):
    """The heartbeat learns of it, and the model does not work on for nothing."""
    job, steps = submit(steps=50), []
    watched = Watched.open(database, settings=store.settings)
    watched.refused = threading.Event()

    def lose_it_once(*_: object) -> None:
        steps.append(1)
        if len(steps) == 2:
            store.abandon("worker-a")
            store.claim("worker-b")
            assert watched.refused.wait(60)

    with hooked(engine, lose_it_once), capture_logs() as logs, working(watched, desk, lease=0.3):
        eventually(lambda: said(logs, "lease lost", request_id=job.id))
    watched.close()
    assert 2 <= len(steps) < 50


def test_cancel_at_the_last_moment_leaves_no_output(submit, store: Store, desk: Desk, blobs: Blobs):
    """After the last step no one stops any more; the owner was promised that it is cancelled, and so it is."""
    job = submit()
    checker = Harmless(output=lambda: store.cancel(job.id, job.account_id))
    with working(store, replace(desk, moderator=moderated(checker))):
        eventually(lambda: store.job(job.id, job.account_id).state.ended)
        eventually(lambda: not blobs.exists(f"outputs/{job.id}/1.png"))
    assert "cancelled" == store.result(job.id)["code"]
    assert 100 * PRICE == store.balance(job.account_id)


class Forgetful(Store):
    """Its first `finish` works, but its answer is lost on the way."""

    answers = 0

    def finish(self, claim: Claim, body: Any) -> Job:
        self.answers += 1
        job = super().finish(claim, body)
        if self.answers == 1:
            raise StoreUnavailable(self._url, "the connection broke")
        return job


def test_finish_whose_answer_was_lost_keeps_its_output(submit, store: Store, desk: Desk, blobs: Blobs, database: Path):
    """Repeated, it meets a job that has ended: with the very output that must not be deleted then."""
    job, forgetful = submit(), Forgetful.open(database, settings=store.settings)
    with capture_logs() as logs, working(forgetful, desk):
        eventually(lambda: said(logs, "lease lost", request_id=job.id))
    forgetful.close()
    assert (State.COMPLETED, 2) == (store.job(job.id, job.account_id).state, forgetful.answers)
    assert blobs.exists(store.result(job.id)["output"]["key"])


def test_edit_outlasts_an_outage_of_the_store(submit, store: Store, desk: Desk, database: Path):
    """The result is kept until it can be written: by the same attempt, with nothing made twice."""
    job, edits = submit(), []
    outage = held_up(database)
    checker = Harmless(output=lambda: edits.append(outage.__enter__()))
    with capture_logs() as logs, working(store, replace(desk, moderator=moderated(checker))):
        eventually(lambda: said(logs, "store unavailable", request_id=job.id))
        outage.__exit__(None, None, None)
        eventually(lambda: store.job(job.id, job.account_id).state.ended)
    assert (State.COMPLETED, 1) == (store.job(job.id, job.account_id).state, store.job(job.id, job.account_id).attempt)
    assert 1 == len(edits)


def test_idle_worker_outlasts_an_outage_of_the_store(submit, store: Store, desk: Desk, database: Path):
    """It claims as soon as it can again."""
    job = submit()
    with capture_logs() as logs:
        with held_up(database):
            waiting = working(store, desk)
            waiting.__enter__()
            eventually(lambda: said(logs, "store unavailable"))
        eventually(lambda: store.job(job.id, job.account_id).state is State.COMPLETED)
        waiting.__exit__(None, None, None)


@pytest.mark.parametrize(("drain", "state", "tries"), [(0, State.PROCESSING, 0), (60, State.COMPLETED, 1)])
def test_running_edit_at_shutdown(submit, store: Store, desk: Desk, engine, drain: float, state: State, tries: int):
    """Given back uncounted when the drain time is over, else finished; the next job is left alone in both cases."""
    job, next_job = submit(), submit()
    under_way, stopped = threading.Event(), threading.Event()

    def wait_once(*_: object) -> None:
        under_way.set()
        assert stopped.wait(60)

    with hooked(engine, wait_once), working(store, desk, drain=drain) as worker:
        assert under_way.wait(60)
        worker.stop()
        stopped.set()
    ended = store.job(job.id, job.account_id)
    assert (state, tries) == (ended.state, ended.tries)
    assert State.QUEUED is store.job(next_job.id, job.account_id).state
    assert [] == store.workers()
