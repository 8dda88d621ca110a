"""Ctrl-C: a running edit ends or goes back to the queue, nothing is left behind, and the next start goes on."""

import signal
from pathlib import Path

import psutil
import pytest

from openkontext.contract import State
from tests.chaos.edits import LONGEST, PRICE, follow, record, submit
from tests.service import Service


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("interrupted") / "data"


def interrupt(service: Service) -> None:
    """Ctrl-C, and what holds after each: status 0, no child left."""
    family = psutil.Process(service.process.pid).children(recursive=True)
    assert 0 == service.stop(signal.SIGINT, within=90)
    assert [] == [process for process in family if process.is_running()]
    assert "stopped" in service.output
    assert "Traceback" not in service.output


def test_edits_survive_ctrl_c(data: Path, slow_model: Path):
    """Without time to drain a long edit goes back to the queue; with it a short one ends before the process does."""
    with Service(data, slow_model, drain=0) as first, first.client() as client, record(data) as books:
        long = submit(client, LONGEST)
        books.wait_for_step(long)
        key, secret = first.key, (data / "secret").read_bytes()
        interrupt(first)
        job = books.job(long)
        assert (State.PROCESSING, 1, 0) == (job.state, job.attempt, job.tries)

    with Service(data, slow_model, drain=60) as second, second.client() as client, record(data) as books:
        assert (key, secret) == (second.key, (data / "secret").read_bytes())
        _, body = follow(client, long)
        # It was given back, not lost: that is no retry.
        assert ("COMPLETED", None) == (body["status"], body["metrics"].get("retry_count"))
        short = submit(client, steps=8)
        books.wait_for_step(short)
        interrupt(second)
        assert State.COMPLETED is books.job(short).state
        assert 2 * PRICE == books.spent()
        assert [] == books.store.workers()
