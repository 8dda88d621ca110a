"""A worker that stands still past its lease, SIGSTOP for a swapped-out or suspended one, comes back as a zombie."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from openkontext.contract import State
from openkontext.settings import Settings
from openkontext.store import Job
from tests.chaos.edits import LONGEST, PRICE, Record, record, submit
from tests.service import Service, eventually


@pytest.fixture
def data(tmp_path: Path, slow_model: Path) -> Iterator[Path]:
    """The data of a gateway without workers, which has accepted one long edit."""
    data = tmp_path / "data"
    with Service(data, slow_model, workers=0, lease=2) as service:
        with service.client() as client:
            submit(client, LONGEST)
        yield data


@pytest.fixture
def start_worker(data: Path, slow_model: Path) -> Iterator[Callable[[str], "subprocess.Popen[str]"]]:
    """Starts `openkontext worker` by itself, without a supervisor."""
    # Patient, for a zombie that stood still as long as the other took would else take itself for hung.
    settings = Settings(data=data, model=str(slow_model), lease=2, step_timeout=600, threads=1)
    started: list[subprocess.Popen[str]] = []

    def start(name: str) -> "subprocess.Popen[str]":
        command = [sys.executable, "-m", "openkontext", "worker", "--name", name]
        environment = os.environ | settings.environment()
        started.append(subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_resumed_worker_can_not_finish(data: Path, start_worker: Callable[[str], "subprocess.Popen[str]"]):
    """Its lease is another's: the result is the other's, and the zombie's own output does not stay."""
    with record(data) as books:
        job_id = only_job(books).id
        zombie = start_worker("zombie")
        books.wait_for_step(job_id)
        eventually(lambda: stopped_outside_a_write(zombie, data))
        start_worker("other")
        eventually(lambda: books.job(job_id).state.ended, within=120)
        assert State.COMPLETED is books.job(job_id).state
        before = books.store.result(job_id)

        zombie.send_signal(signal.SIGCONT)
        line = next(line for line in zombie.stderr if "lease lost" in line)
        assert job_id in line
        zombie.send_signal(signal.SIGTERM)
        assert 0 == zombie.wait(60)

        job = books.job(job_id)
        assert (State.COMPLETED, 2) == (job.state, job.attempt)
        assert before == books.store.result(job_id)
        assert f"outputs/{job_id}/2.png" == before["output"]["key"]
        assert (False, True) == (books.has_output(job_id, 1), books.has_output(job_id, 2))
        assert PRICE == books.spent()


def stopped_outside_a_write(process: "subprocess.Popen[str]", data: Path) -> bool:
    """Stop it; False, and it goes on, if that was within a write: SQLite's lock would then hold up everyone else."""
    process.send_signal(signal.SIGSTOP)
    database = sqlite3.connect(data / "openkontext.db", timeout=0.2, isolation_level=None)
    try:
        database.execute("BEGIN IMMEDIATE")
        database.execute("ROLLBACK")
        return True
    except sqlite3.OperationalError:
        process.send_signal(signal.SIGCONT)
        return False
    finally:
        database.close()


def only_job(books: Record) -> Job:
    [entry] = [entry for entry in books.store.ledger(books.account.id) if entry.job_id]
    return books.job(entry.job_id)
