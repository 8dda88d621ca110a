"""`openkontext edit --server`: an edit on another machine, against a real small server."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.progress import Progress

from openkontext import Event
from openkontext.contract import Problem
from openkontext.remote import draw, edit_remote
from tests.client.parts import REQUEST_ID, SmallServer, addresses

PATH = f"/v2/requests/{REQUEST_ID}"
FIELDS = {"prompt": "make it snow", "seed": 7}
METRICS = {"cost": 0.04, "inference_time": 3.14}
Edit = Callable[..., str]


def done(server: SmallServer, **more: Any) -> dict[str, Any]:
    body = {"status": "COMPLETED", "request_id": REQUEST_ID, "output": f"{server.url}/x.png", "seed": "7"}
    return body | {"metrics": METRICS} | more


def events(*bodies: dict[str, Any]) -> tuple[str, bytes]:
    """A stream that tells the steps, then the end."""
    step = b'event: progress\ndata: {"step": 3, "steps": 4, "eta_seconds": 1.5}\n\n'
    return "events", step + b"".join(f"event: done\ndata: {json.dumps(body)}\n\n".encode() for body in bodies)


def answers(server: SmallServer, **more: Any) -> None:
    """What the server says when all goes well."""
    body = done(server, **more)
    server.answers = {
        "/v2/flux-kontext-dev": (200, json.dumps(addresses(server.url))),
        f"{PATH}/events": events(body),
        PATH: (200, json.dumps(body)),
        "/x.png": (200, b"picture"),
    }


@pytest.fixture
def edit(server: SmallServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Edit:
    """Edits a small picture, and returns what was printed."""
    monkeypatch.setattr("openkontext.client.retry.FIRST_PAUSE_S", 0.0)
    picture = tmp_path / "photo.gif"
    picture.write_bytes(b"GIF89a")

    def run(out: str = "out.png", *, url: str = server.url) -> str:
        console = Console(file=io.StringIO(), width=200)
        edit_remote(picture, tmp_path / out, dict(FIELDS), server=url, api_key="SG_x", console=console)
        assert isinstance(console.file, io.StringIO)
        return console.file.getvalue()

    return run


def test_the_picture_is_written(edit: Edit, server: SmallServer, tmp_path: Path) -> None:
    """Made there, in the format that the name asks for, and said in a line."""
    answers(server)
    assert f"{tmp_path / 'out.jpg'}: 7 bytes, seed 7, 3.1 s, cost 0.04" in edit("out.jpg")
    assert b"picture" == (tmp_path / "out.jpg").read_bytes()
    sent = {"input_image": "data:image/gif;base64,R0lGODlh", "output_format": "jpg"}
    assert FIELDS | sent == json.loads(server.bodies[0])


def test_warnings_are_shown(edit: Edit, server: SmallServer) -> None:
    """What the server notes about the edit."""
    answers(server, warnings=["the prompt was cut"])
    assert "warning: the prompt was cut" in edit()


def test_a_server_without_metrics_will_do(edit: Edit, server: SmallServer) -> None:
    """They are optional."""
    answers(server, metrics={})
    assert "7 bytes, seed 7\n" in edit()


@pytest.mark.parametrize(("out", "message"), [("x.bmp", "must end in"), ("nowhere/x.png", "doesn't exist")])
def test_an_output_that_can_not_be_written_sends_nothing(
    edit: Edit, server: SmallServer, out: str, message: str
) -> None:
    """It is said before the edit is paid."""
    with pytest.raises(Problem, match=message):
        edit(out)
    assert [] == server.seen


def test_a_refusal_is_a_problem(edit: Edit, server: SmallServer) -> None:
    """The server's code and words."""
    refusal = {"error": "the balance is 0.01", "code": "insufficient_credits"}
    server.answers = {"/v2/flux-kontext-dev": (406, json.dumps(refusal))}
    with pytest.raises(Problem) as caught:
        edit()
    assert ("insufficient_credits", "the balance is 0.01") == (caught.value.code, caught.value.message)


def test_a_failed_edit_is_a_problem(edit: Edit, server: SmallServer, tmp_path: Path) -> None:
    """It says why, and writes nothing."""
    answers(server)
    failed = {"status": "FAILED", "request_id": REQUEST_ID, "error": "blocked: 0.98", "code": "blocked"}
    server.answers[f"{PATH}/events"] = events(failed)
    with pytest.raises(Problem) as caught:
        edit()
    assert ("blocked", "blocked: 0.98") == (caught.value.code, caught.value.message)
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize(
    ("url", "message"),
    [("http://127.0.0.1:9", "no answer from http://127.0.0.1:9: "), ("example.com", "must start with http")],
)
def test_no_server_is_a_problem(edit: Edit, url: str, message: str) -> None:
    """An address at which nothing answers, and one that is none."""
    with pytest.raises(Problem, match=message):
        edit(url=url)


def test_who_interrupts_cancels(edit: Edit, server: SmallServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The edit isn't charged, and the interruption goes on."""
    answers(server)
    server.answers[PATH] = (202, "{}")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("openkontext.remote.draw", interrupt)
    with pytest.raises(KeyboardInterrupt):
        edit()
    assert f"DELETE {PATH}" == server.seen[-1]


def test_the_bar_shows_where_it_is() -> None:
    """Its place in the queue, then steps and the time left."""
    bar = Progress()
    task = bar.add_task("waiting", total=None, left="")
    shown = []
    for kind, data in [
        ("status", {"status": "QUEUED", "queue_position": 2}),
        ("progress", {"step": 0, "steps": 4, "eta_seconds": None}),
        ("status", {"status": "PROCESSING", "queue_position": None}),
        ("progress", {"step": 3, "steps": 4, "eta_seconds": 1.5}),
    ]:
        draw(bar, task, Event(kind, data))
        shown.append(
            (bar.tasks[0].description, bar.tasks[0].completed, bar.tasks[0].total, bar.tasks[0].fields["left"])
        )
    assert [
        ("waiting, number 2 in the queue", 0, None, ""),
        ("waiting, number 2 in the queue", 0, 4, ""),
        ("editing", 0, 4, ""),
        ("editing", 3, 4, "2 s left"),
    ] == shown
