"""What is secret stays so: a service that is asked everything, well and badly, says no key anywhere."""

import io
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import structlog

from openkontext.gateway import Services
from openkontext.process import configure_logging
from openkontext.settings import Settings
from openkontext.store import Store
from tests.gateway.harness import EDIT, RUN, SUBMIT, Worker
from tests.receivers import receiving
from tests.service import environment, eventually

WRONG = "SG_" + "badbadbad0badbad" * 2
PROMPT = "a prompt that nobody else should read"
ASKED = EDIT | {"prompt": PROMPT}


@dataclass
class Process:
    """`openkontext gateway`, saying all that it has to say, into a file."""

    url: str
    data: Path
    output: Path
    pid: int

    def ask(self, method: str, path: str, key: str | None = None, **options: Any) -> httpx.Response:
        """One request, with a key or without."""
        options["headers"] = ({"x-api-key": key} if key else {}) | options.get("headers", {})
        return httpx.request(method, self.url + path, timeout=60, **options)


@contextmanager
def running(data: Path, **settings: object) -> Iterator[Process]:
    """The gateway as a process of its own, until the block is left."""
    output = data.parent / "output"
    with socket.create_server(("127.0.0.1", 0)) as listener, output.open("wb") as file:
        port = listener.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "openkontext", "gateway", "--fd", str(listener.fileno())],
            env=environment(data, "nano", log_level="debug", port=port, **settings),
            stdout=file,
            stderr=file,
            pass_fds=[listener.fileno()],
        )
        try:
            started = Process(f"http://127.0.0.1:{port}", data, output, process.pid)
            assert httpx.get(f"{started.url}/healthz", timeout=60).status_code == 200
            yield started
        finally:
            process.terminate()
            process.wait(60)


@contextmanager
def opened(data: Path, **settings: Any) -> Iterator[Services]:
    """The gateway's parts, in this process."""
    services = Services.open(Settings(data=data, **settings))
    yield services
    services.store.close()


@dataclass
class Asked:
    """What a service was asked, and what of it is secret: to all, and to all but the one who asked."""

    answers: list[httpx.Response]
    secrets: list[str]
    private: list[str]

    @property
    def said(self) -> str:
        """Status, headers and body of every answer."""
        return "\n".join(f"{answer.status_code} {answer.headers!r} {answer.text}" for answer in self.answers)


def found(secrets: list[str], *texts: str | bytes) -> list[str]:
    """Those of the secrets that are in one of the texts."""
    return [each for each in secrets for text in texts if (each.encode() if isinstance(text, bytes) else each) in text]


def ask_well(process: Process, services: Services, key: str, hook: str) -> Asked:
    """A webhook, a request that completes and one that fails, each asked for, and the picture."""
    webhook = process.ask("POST", "/v2/webhooks", key, json={"url": hook})
    headers = {"idempotency-key": "marked-idempotency"}
    answers = [process.ask("POST", f"{SUBMIT}?webhook={hook}", key, json=ASKED, headers=headers)]
    Worker(services).complete()
    answers.append(process.ask("POST", SUBMIT, key, json=ASKED))
    Worker(services).fail()
    answers += [process.ask("GET", httpx.URL(answer.json()["response_url"]).path, key) for answer in answers]
    output = answers[2].json()["output"]
    assert [200, 200, 200, 422] == [answer.status_code for answer in answers]
    assert httpx.get(output).status_code == 200
    signature = output.partition("signature=")[2]
    private = [webhook.json()["secret"], "whsec_", signature, "marked-idempotency", "hook-token", PROMPT]
    signing = [line.split()[0] for line in (process.data / "secret").read_text().splitlines()]
    return Asked(answers, [key, *signing], private)


def ask_badly(process: Process, key: str) -> list[httpx.Response]:
    """Keys where none belong, keys that are none, and bodies that are refused."""
    bearer = {"headers": {"authorization": f"Bearer {WRONG}"}}
    answers = [
        process.ask("GET", f"/v2/requests?x-api-key={key}&api_key={key}"),
        process.ask("GET", f"/v2/requests?x-api-key={WRONG}", WRONG),
        process.ask("GET", "/v1/get-user-credits", headers={"authorization": f"Bearer {key}"}),
        process.ask("POST", "/v1/images/edits", **bearer),
        process.ask("GET", "/v2/requests", headers={"cookie": f"key={key}"}),
    ]
    assert [401] * 5 == [answer.status_code for answer in answers]
    answers.append(process.ask("POST", RUN, key, json={"prompt": 5}))
    answers.append(process.ask("POST", SUBMIT, key, content=b"{"))
    answers.append(process.ask("POST", SUBMIT, key, json=ASKED, headers={"idempotency-key": "two words"}))
    assert [400] * 3 == [answer.status_code for answer in answers[5:]]
    return [*answers, process.ask("GET", "/files/secret", key), process.ask("GET", "/nowhere", key)]


def ask_unreadably(process: Process, key: str) -> bytes:
    """What is no request, and has a key in it: all that is answered."""
    port, said = httpx.URL(process.url).port, b""
    for head in (f"GET / HTTP/1.1\r\nx-api-key: {key}\0", f"{key} / HTTP/1.1", f"GET / HTTP/1.1\r\n{key}\r\n x: y"):
        with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
            connection.sendall(f"{head}\r\nhost: a\r\nconnection: close\r\n\r\n".encode())
            while piece := connection.recv(65536):
                said += piece
    assert said.count(b"HTTP/1.1 400") == 3
    return said


def break_it(process: Process, path: str, key: str, hook: str) -> list[httpx.Response]:
    """What no defect of ours writes: results that can't be read, and a table that refuses every webhook."""
    with closing(sqlite3.connect(process.data / "openkontext.db")) as database, database:
        database.execute("UPDATE results SET body = '{' || body")
        database.execute("CREATE TRIGGER broken BEFORE INSERT ON endpoints BEGIN SELECT RAISE(ABORT, 'broken'); END")
    answers = [process.ask("GET", path, key), process.ask("POST", "/v2/webhooks", key, json={"url": hook})]
    assert [500, 500] == [answer.status_code for answer in answers]
    return answers


def test_no_secret_is_said(tmp_path: Path) -> None:
    """Good requests, refused ones, failed ones and defects: no key in logs, on the terminal, in answers, on disk."""
    data = tmp_path / "data"
    with (
        receiving(lambda _: (500, {})) as receiver,
        opened(data) as services,
        running(data, webhook_allow_hosts="127.0.0.1") as process,
    ):
        account = services.store.create_account("marked")
        services.store.add_credits(account.id, 10_000_000)
        _, key = services.store.create_key(account.id, rpm=None)
        hook = f"{receiver.url}?token=hook-token"
        asked = ask_well(process, services, key, hook)
        asked.answers += ask_badly(process, key)
        unreadable = ask_unreadably(process, key)
        eventually(lambda: "webhook failed" in process.output.read_text())
        path = httpx.URL(asked.answers[0].json()["response_url"]).path
        asked.answers += break_it(process, path, key, hook)
        child = psutil.Process(process.pid)
        told = [" ".join(child.cmdline()), str(child.environ())]
    log, disk = process.output.read_text(), b"".join(file.read_bytes() for file in data.glob("openkontext.db*"))
    # It has said what went wrong, or there would be nothing to find.
    assert (2, True) == (log.count('"event": "defect"'), "Traceback" in log)
    assert found([WRONG, *asked.secrets], asked.said, unreadable, disk, log, *told) == []
    assert found(asked.private, log) == []


class Terminal(io.StringIO):
    """What people look at, in colour."""

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("stream", [io.StringIO, Terminal])
def test_tracebacks_have_no_values(monkeypatch: pytest.MonkeyPatch, stream: type[io.StringIO]) -> None:
    """A defect's log has the lines of the code, never what its variables held, whichever way it is shown."""
    shown = stream()
    monkeypatch.setattr(sys, "stderr", shown)
    configure_logging("debug")

    def fail(secret: str) -> None:
        raise RuntimeError("broken")

    try:
        fail("-".join(("SG", "marked")))
    except RuntimeError as error:
        structlog.get_logger().error("defect", exc_info=error)
    finally:
        structlog.reset_defaults()
    assert "RuntimeError: broken" in shown.getvalue()
    assert "SG-marked" not in shown.getvalue()


def test_only_hashes_are_stored(tmp_path: Path) -> None:
    """Who reads the database can't use a key from it, and a key's hash is no key."""
    store = Store.open(tmp_path / "openkontext.db")
    store.migrate()
    account = store.create_account("a")
    _, secret = store.create_key(account.id)
    with closing(sqlite3.connect(tmp_path / "openkontext.db")) as database:
        [digest] = database.execute("SELECT hash FROM keys").fetchone()
    found = [
        store.authenticate(given) for given in (digest, f"SG_{digest}", secret.upper(), secret + " ", secret[:-1], "")
    ]
    assert ([None] * 6, False) == (found, store.authenticate(secret) is None)
    store.close()
