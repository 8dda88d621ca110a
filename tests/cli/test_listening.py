"""`openkontext webhooks listen`, against a server that does as it is told."""

import os
import re
import signal
import threading
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from tests.cli.conftest import Done, Run
from tests.cli.following import KEY, SECRET, Server, event, serving

END = "error: The x-api-key is wrong, expired or revoked\n"


def listen(run: Run, server: Server, *options: object) -> Done:
    """What the command says until its key is refused."""
    done = run("webhooks", "listen", "--server", server.url, "--api-key", KEY, *options)
    assert done.stderr.startswith(f"listening to {server.url}; Ctrl-C ends it\n")
    return done


def shown(done: Done) -> list[str]:
    """The lines of the events, without their time."""
    lines = done.stdout.splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d  ", line) for line in lines)
    return [line[21:] for line in lines]


def test_each_event_is_a_line(run: Run):
    """When, what, which request, and that it is from the server whose secret it is."""
    with serving(event(1) + event(2)) as server:
        done = listen(run, server)
    assert (1, END) == (done.exit_code, done.stderr[-len(END) :])
    assert [f"request.completed  request-{number}  verified" for number in (1, 2)] == shown(done)


def test_forged_event_is_said_to_be_one(run: Run):
    """It is signed with something else."""
    with serving(event(1, secret="whsec_AAAA")) as server:
        lines = shown(listen(run, server))
    assert ["request.completed  request-1  NOT VERIFIED: no matching signature found"] == lines


@pytest.mark.parametrize("data", ["hello", "[]", '{"headers": {}}', '{"headers": {}, "body": "hello"}'])
def test_unreadable_event_is_passed_over(run: Run, data: str):
    """And the next is shown."""
    with serving(f"event: request.failed\ndata: {data}\n\n{event(2)}") as server:
        done = listen(run, server)
    assert ["request.completed  request-2  verified"] == shown(done)
    assert "an event 'request.failed' that can't be read\n" in done.stderr


def test_body_is_printed_on_demand(run: Run):
    """As it was signed, on a line of its own."""
    with serving(event(1)) as server:
        lines = listen(run, server, "--body").stdout.splitlines()
    assert '{"status":"COMPLETED","request_id":"request-1"}' == lines[1]


def test_goes_on_after_the_last_event(run: Run):
    """When the connection ends, in the middle of an event too; none is shown twice."""
    with serving(event(1) + event(2)[:40], event(2), (503, {"error": "draining"}), event(3)) as server:
        done = listen(run, server)
    assert [None, "1", "2", "2", "3"] == server.last_ids
    assert [f"request.completed  request-{number}  verified" for number in (1, 2, 3)] == shown(done)
    assert "connection lost: the server ended the connection; trying again in 0.001 s\n" in done.stderr
    assert "connection lost: 503: draining; trying again in 0.002 s\n" in done.stderr


def test_goes_on_where_it_began(run: Run):
    """A first connection that brought nothing but the place to go on from is enough to miss nothing."""
    with serving("id: 7\n\n", event(8)) as server:
        done = listen(run, server)
    assert [None, "7", "8"] == server.last_ids
    assert ["request.completed  request-8  verified"] == shown(done)


def test_event_is_forwarded_as_a_webhook(run: Run):
    """The receiver can verify it, for it gets the headers and the very text that was signed."""
    with serving(event(1)) as server:
        done = listen(run, server, "--forward", f"{server.url}/hook")
    assert ["request.completed  request-1  verified  forwarded: 204"] == shown(done)
    ((headers, body),) = server.posted
    assert "request-1" == Webhook(SECRET).verify(body, headers)["request_id"]
    assert "application/json" == headers["content-type"]
    assert KEY not in headers.values()


def test_receiver_that_is_down_is_said_to_be(run: Run):
    """And the listening goes on."""
    with serving(event(1), event(2)) as server:
        with Server() as closed:
            pass
        lines = shown(listen(run, server, "--forward", closed.url))
    assert 2 == len(lines)
    assert lines[0].startswith("request.completed  request-1  verified  forwarded: no answer (")


def test_ctrl_c_ends_it(run: Run):
    """With status 0, while it waits for the server."""
    ended = threading.Event()

    def interrupt() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        ended.wait(20)

    with serving(interrupt) as server:
        done = run("webhooks", "listen", "--server", server.url, "--api-key", KEY)
        ended.set()
    assert (0, "") == (done.exit_code, done.stdout)
    assert done.stderr.endswith("stopped\n")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (("--api-key", "SG_00"), END),
        (("--api-key", KEY, "--forward", "localhost:9"), "error: the URL must start with http:// or https://\n"),
        ((), "error: no API key: give it by --api-key, or set OPENKONTEXT_API_KEY to it\n"),
    ],
)
def test_what_is_wrong_is_one_clear_line(run: Run, options: tuple[str, ...], says: str):
    """And the status is 1."""
    with serving() as server:
        assert (1, "", says) == run("webhooks", "listen", "--server", server.url, *options)


@pytest.mark.parametrize(
    ("server", "says"),
    [
        ("localhost:8000", "error: the base URL must start with http:// or https://"),
        ("http://127.0.0.1:1", "error: no answer from http://127.0.0.1:1: "),
    ],
)
def test_wrong_server_is_one_clear_line(run: Run, server: str, says: str):
    """Nothing is tried again that never worked."""
    done = run("webhooks", "listen", "--server", server, "--api-key", KEY)
    assert (1, "") == (done.exit_code, done.stdout)
    assert done.stderr.startswith(says)


def test_server_and_key_may_come_from_the_environment(run: Run, monkeypatch):
    """By the names that the SDK reads."""
    with serving(event(1)) as server:
        monkeypatch.setenv("OPENKONTEXT_BASE_URL", server.url)
        monkeypatch.setenv("OPENKONTEXT_API_KEY", KEY)
        assert 1 == len(shown(run("webhooks", "listen")))


def test_local_key_is_found(run: Run, data: Path):
    """On the service's own machine, where the data folder has it."""
    (data / "api-key").write_text(f"{KEY}\n")
    with serving(event(1)) as server:
        assert 1 == len(shown(run("webhooks", "listen", "--server", server.url)))


def test_local_key_stays_here(run: Run, data: Path):
    """No other server is shown it."""
    (data / "api-key").write_text(f"{KEY}\n")
    done = run("webhooks", "listen", "--server", "http://example.invalid")
    assert "error: no API key: give it by --api-key, or set OPENKONTEXT_API_KEY to it\n" == done.stderr
