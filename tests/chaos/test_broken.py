"""Workers that can't start: said in one line at the start, by `/readyz` later, and mended without a restart."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.chaos.edits import follow, submit
from tests.service import Service, environment, eventually


def failing_start(data: Path, model: Path | str, **settings: object) -> list[str]:
    """The lines that a `serve` which can't start leaves; what holds for each: status 1, no trace."""
    command = [sys.executable, "-m", "openkontext", "serve"]
    ended = subprocess.run(
        command, env=environment(data, model, **settings), capture_output=True, text=True, timeout=120
    )
    assert (1, "") == (ended.returncode, ended.stdout)
    assert "Traceback" not in ended.stderr
    return [line for line in ended.stderr.splitlines() if "error" in line]


def test_busy_port_is_one_clear_line(tmp_path: Path):
    """Another program has the port."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        lines = failing_start(tmp_path / "data", "nano", port=port)
    assert [f"error: can't listen on 127.0.0.1:{port}: address already in use; choose another with --port"] == lines


def test_unwritable_folder_is_one_clear_line(tmp_path: Path):
    """The data folder would lie under a file."""
    (tmp_path / "file").write_text("in the way")
    folder = tmp_path / "file" / "data"
    [line] = failing_start(folder, "nano")
    assert line.startswith(f"error: can't use the folder {folder}: ")
    assert line.endswith("; choose another with --data")


def test_folder_that_takes_no_files_is_one_clear_line():
    """The folder is there, but nothing can be written into it."""
    [line] = failing_start(Path("/proc/self"), "nano")
    assert line.startswith("error: ")


def test_missing_checkpoint_is_one_clear_line(tmp_path: Path):
    """The model's folder does not exist."""
    missing = tmp_path / "missing"
    lines = failing_start(tmp_path / "data", missing)
    assert [
        f"error: checkpoint {missing}: no such folder; give a folder, a Hugging Face id (owner/name) or nano"
    ] == lines


@pytest.fixture
def model(slow_model: Path, tmp_path: Path) -> Path:
    """A name for the checkpoint that can be taken away."""
    name = tmp_path / "model"
    name.symlink_to(slow_model)
    return name


def test_checkpoint_that_vanishes_and_comes_back(model: Path, slow_model: Path, tmp_path: Path):
    """A worker that can't be replaced makes the service unready, with the reason, until it is mended."""
    with Service(tmp_path / "data", model) as service, service.client() as client:
        assert {"status": "ready"} == client.get("/readyz").json()
        model.unlink()
        service.child("worker").kill()
        reason = eventually(lambda: reason_of(client.get("/readyz"), "no such folder"))
        assert f"Not ready: the worker keeps crashing: checkpoint {model}: no such folder" in reason
        request_id = submit(client)
        os.symlink(slow_model, model)
        assert "COMPLETED" == follow(client, request_id)[1]["status"]
        assert {"status": "ready"} == client.get("/readyz").json()


def reason_of(answer: httpx.Response, part: str) -> str | None:
    """Why the service is not ready, if ``part`` is in it."""
    error = answer.json().get("error", "")
    return error if 503 == answer.status_code and part in error else None
