"""Cancelling, and the times after which the service gives up by itself."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.kit import held
from tests.chaos.edits import LONGEST, PRICE, follow, record, submit
from tests.service import Service


def test_running_edit_is_cancelled_at_the_next_step(service: Service):
    """DELETE of a running one: FAILED as cancelled long before its steps are done, and given back its credits."""
    with service.client() as client, record(service.data) as books:
        before = books.spent()
        request_id = submit(client, LONGEST)
        with held(service, step=1):
            answer = client.delete(f"/v2/requests/{request_id}")
        assert (202, {"request_id": request_id, "status": "PROCESSING"}) == (answer.status_code, answer.json())
        _, body = follow(client, request_id)
        assert ("FAILED", "cancelled") == (body["status"], body["code"])
        assert books.job(request_id).step < LONGEST
        assert before == books.spent()
        assert not books.has_output(request_id, 1)


def test_waiting_edit_is_cancelled_at_once(service: Service):
    """DELETE of a queued one: it ends in that request's transaction, and no worker ever sees it."""
    with service.client() as client, record(service.data) as books:
        before = books.spent()
        with held(service):
            waiting = submit(client)
            answer = client.delete(f"/v2/requests/{waiting}")
            assert (202, {"request_id": waiting, "status": "FAILED"}) == (answer.status_code, answer.json())
            failed = client.get(f"/v2/requests/{waiting}/status")
            assert (422, "cancelled") == (failed.status_code, failed.json()["code"])
        # The next one is taken, and it was not.
        assert "COMPLETED" == follow(client, submit(client))[1]["status"]
        assert 0 == books.job(waiting).attempt
        assert PRICE == books.spent() - before


@pytest.fixture
def lone_gateway(tmp_path: Path) -> Iterator[Service]:
    """A service without workers, in which nothing waits for long."""
    with Service(tmp_path / "data", "nano", workers=0, queue_timeout=2) as running:
        yield running


def test_without_a_worker_it_fails_in_time(lone_gateway: Service):
    """What waited for the queue timeout is FAILED and uncharged, and `/readyz` says why nothing runs."""
    with lone_gateway.client() as client, record(lone_gateway.data) as books:
        unready = client.get("/readyz")
        assert (503, "Not ready: no worker is running") == (unready.status_code, unready.json()["error"])
        began = time.monotonic()
        states, body = follow(client, submit(client))
        # Who looks late may not have seen it wait.
        assert {"QUEUED", "FAILED"} >= set(states)
        assert "queue_timeout" == body["code"]
        assert time.monotonic() - began >= 2
        assert 0 == books.spent()
