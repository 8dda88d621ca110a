"""Processes killed with SIGKILL, the most sudden end there is: accepted requests complete all the same."""

from contextlib import suppress
from pathlib import Path

import psutil

from tests.chaos.conftest import LEASE
from tests.chaos.edits import LONGEST, PRICE, follow, record, submit
from tests.service import Service


def test_worker_killed_in_mid_edit(service: Service):
    """The same request is run again by the next worker: seen as one PROCESSING, charged once."""
    with service.client() as client, record(service.data) as books:
        before, worker = books.spent(), service.child("worker")
        request_id = submit(client, LONGEST)
        books.wait_for_step(request_id, 3)
        worker.kill()
        states, body = follow(client, request_id)
        assert ["PROCESSING", "COMPLETED"] == [state for state in states if state != "QUEUED"]
        assert "QUEUED" not in states[1:]
        assert 1 == body["metrics"]["retry_count"]
        assert PRICE == books.spent() - before
        assert (False, True) == (books.has_output(request_id, 1), books.has_output(request_id, 2))


def test_gateway_killed_after_the_200(service: Service):
    """What was accepted is on disk: a new gateway takes over the port, and the request completes."""
    with service.client() as client:
        request_id = submit(client, LONGEST)
        gateway = service.child("gateway")
        gateway.kill()
        _, body = follow(client, request_id)
        assert "COMPLETED" == body["status"]
        assert gateway.pid != service.child("gateway").pid
        assert 200 == client.get(body["output"]).status_code


def test_everything_killed_then_the_supervisor_alone(slow_model: Path, tmp_path: Path):
    """The next `serve` on the same data completes what was accepted; and children without a supervisor end."""
    data = tmp_path / "data"
    with Service(data, slow_model, lease=LEASE) as first, first.client() as client:
        request_id = submit(client, LONGEST)
        supervisor = psutil.Process(first.process.pid)
        for process in [supervisor, *supervisor.children()]:
            # Children end by themselves once they see that their parent is gone.
            with suppress(psutil.NoSuchProcess):
                process.kill()
        first.process.wait()
    with Service(data, slow_model, lease=LEASE) as second, second.client() as client:
        _, body = follow(client, request_id)
        assert "COMPLETED" == body["status"]
        children = psutil.Process(second.process.pid).children()
        second.process.kill()
        second.process.wait()
        ended, alive = psutil.wait_procs(children, timeout=60)
        assert (2, []) == (len(ended), alive)
