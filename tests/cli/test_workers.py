"""`openkontext workers`."""

import json
import re

import pytest

from openkontext.store import Account, Store
from tests.cli.conftest import Run


@pytest.fixture
def two(store: Store) -> Store:
    """Two workers, the second of which ends with the job that it has."""
    store.report_worker("w0", state="ready", host="here", pid=7, device="cpu", checkpoint="nano", max_area=65536)
    store.report_worker("w1", state="draining", job_id="job")
    return store


def test_list_shows_what_each_does(run: Run, two: Store):
    """A line each, with what isn't known left out."""
    head, first, second = (re.split(" {2,}", line) for line in run("workers", "list").stdout.splitlines())
    shown = dict(zip(head, first, strict=True))
    assert all(shown.pop(name).startswith("20") for name in ("seen", "started"))
    assert shown == {
        "id": "w0",
        "host": "here",
        "pid": "7",
        "device": "cpu",
        "checkpoint": "nano",
        "state": "ready",
        "request": "-",
        "message": "-",
    }
    assert ("draining", "job") == (second[5], second[6])


def test_list_is_json_for_scripts(run: Run, two: Store):
    """The same, and whether it is to be drained."""
    two.drain("w0")
    shown = json.loads(run("workers", "list", "--json").stdout)[0]
    assert all(shown.pop(name).endswith("Z") for name in ("seen_at", "started_at"))
    assert shown == {
        "id": "w0",
        "host": "here",
        "pid": 7,
        "device": "cpu",
        "checkpoint": "nano",
        "state": "drained",
        "message": None,
        "drain": True,
        "request_id": None,
    }


def test_one_is_drained_and_resumed(run: Run, two: Store):
    """That one, for a service that runs; and people are told how it is then."""
    assert (0, "", "w0: drained\n") == run("workers", "drain", "w0")
    assert [True, False] == [worker.drain for worker in two.workers()]
    assert (0, "", "w0: ready\n") == run("workers", "resume", "w0")
    assert [False, False] == [worker.drain for worker in two.workers()]


def test_one_that_works_ends_its_edit(run: Run, store: Store, ann: Account):
    """It is draining until then."""
    key, _ = store.create_key(ann.id)
    store.report_worker("w0", state="ready")
    store.submit(key, {"prompt": "x"}, {"kind": "url"}, price=40_000, weight=1, steps=4)
    assert store.claim("w0")
    assert "w0: draining\n" == run("workers", "drain", "w0").stderr


def test_all_are_drained_and_resumed(run: Run, two: Store):
    """Without a name."""
    assert "w0: drained\nw1: draining\n" == run("workers", "drain").stderr
    assert [True, True] == [worker.drain for worker in two.workers()]
    assert "w0: ready\nw1: draining\n" == run("workers", "resume").stderr


@pytest.mark.parametrize("command", ["drain", "resume"])
def test_an_unknown_worker_is_refused(run: Run, two: Store, command: str):
    """With where to look; and so is a service without any."""
    says = "error: there is no worker 'w9'; see: openkontext workers list\n"
    assert (1, "", says) == run("workers", command, "w9")
    for name in ("w0", "w1"):
        two.forget_worker(name)
    assert (1, "", "error: no worker is running\n") == run("workers", command)
