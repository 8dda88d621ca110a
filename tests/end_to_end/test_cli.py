"""The command line as people use it."""

import json
import os
import signal
import subprocess
import sys

import httpx
import pytest
from PIL import Image

from openkontext.contract import SLUG
from tests.end_to_end.web import picture


def command(*words):
    """The command as a new process has it."""
    return [sys.executable, "-m", "openkontext", *map(str, words)]


def openkontext(*words, cwd, **environment):
    """Run the command; its outcome."""
    return subprocess.run(
        command(*words), cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture
def photo(tmp_path):
    """A picture to edit."""
    path = tmp_path / "photo.jpg"
    path.write_bytes(picture(form="JPEG"))
    return path


@pytest.mark.parametrize(("name", "format"), [("out.png", "PNG"), ("out.jpg", "JPEG"), ("out.webp", "WEBP")])
def test_an_edit_without_a_server(photo, tiny, tmp_path, name, format):
    """`openkontext edit` writes the picture in the format of its name, and says its size and seed."""
    done = openkontext("edit", photo, "make it snow", "-o", name, "--model", tiny, "--steps", 4, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stdout), done.stderr
    assert "144 × 96, seed 42" in done.stderr
    with Image.open(tmp_path / name) as made:
        assert (format, (144, 96)) == (made.format, made.size)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--steps", 3], "num_inference_steps must be an integer from 4 to 50; got 3"),
        (["-o", "out.bmp"], "--out must end in .png, .jpg, .jpeg, .webp; got 'out.bmp'"),
        (["-o", "nowhere/out.png"], "--out: the folder nowhere doesn't exist"),
        (["--model", "no-such-folder/x/y"], "no-such-folder/x/y"),
    ],
)
def test_what_is_wrong_is_one_clear_line(photo, tiny, tmp_path, words, says):
    """No trace, an exit status, and nothing written."""
    given = words if "--model" in words else [*words, "--model", tiny]
    done = openkontext("edit", photo, "make it snow", *given, cwd=tmp_path)
    assert 1 == done.returncode
    assert says in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert [photo] == list(tmp_path.iterdir())


def test_a_file_that_is_no_picture_is_refused(tmp_path, tiny):
    """It is looked at before the model is loaded."""
    (tmp_path / "photo.jpg").write_bytes(b"hello")
    done = openkontext("edit", "photo.jpg", "make it snow", "--model", tiny, cwd=tmp_path)
    assert 1 == done.returncode
    assert "image" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", ["serve", "gateway", "worker"])
def test_every_setting_is_a_flag_and_a_variable(command, tmp_path):
    """The help of each long-running command names them all."""
    code = "from openkontext.settings import Settings; import json; print(json.dumps(list(Settings.model_fields)))"
    names = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)
    done = openkontext(command, "--help", cwd=tmp_path, COLUMNS="200")
    missing = [n for n in names if f"--{n.replace('_', '-')}" not in done.stdout]
    assert [] == missing
    assert [] == [n for n in names if f"OPENKONTEXT_{n.upper()}" not in done.stdout]


@pytest.mark.parametrize(("flag", "value"), [("--port", "x"), ("--workers", "-1"), ("--price", "much")])
def test_a_wrong_setting_is_one_clear_line(tmp_path, flag, value):
    """Whichever layer finds it."""
    done = openkontext("serve", flag, value, cwd=tmp_path)
    assert done.returncode in (1, 2)
    assert flag.removeprefix("--") in done.stderr
    assert "Traceback" not in done.stderr


def test_keys_are_made_and_revoked_while_the_service_runs(service, tmp_path):
    """A new key is taken at once, and refused from the moment that it is revoked."""
    made = openkontext("keys", "create", "--label", "for a moment", "--data", service.data, cwd=tmp_path)
    key = made.stdout.removesuffix("\n")

    def status():
        return httpx.get(f"{service.url}/v1/get-user-credits", headers={"x-api-key": key}).status_code

    assert 200 == status(), made.stderr
    revoked = openkontext("keys", "revoke", key[-4:], "--data", service.data, cwd=tmp_path)
    assert 401 == status(), revoked.stderr


def test_books_hold_while_the_service_runs(service, http, photo, tmp_path):
    """Credits granted by the command can be spent at once, and the ledger is proven beside it."""
    before = http.get("/v1/get-user-credits").json()["credits"]
    granted = openkontext("credits", "add", "local", "2.5", "--data", service.data, cwd=tmp_path)
    assert before + 2.5 == http.get("/v1/get-user-credits").json()["credits"] == float(granted.stdout)
    verified = openkontext("ledger", "verify", "--data", service.data, cwd=tmp_path)
    assert 0 == verified.returncode, verified.stdout
    assert verified.stdout.endswith("every balance equals its sum\n")


def test_an_edit_on_a_server(service, photo, tmp_path):
    """`openkontext edit --server` writes the picture that the service makes, and says what it cost."""
    where = ("--server", service.url, "--api-key", service.key)
    done = openkontext("edit", photo, "make it snow", "-o", "out.webp", "--steps", 4, *where, cwd=tmp_path)
    assert (0, "") == (done.returncode, done.stdout), done.stderr
    assert "seed 42" in done.stderr
    with Image.open(tmp_path / "out.webp") as made:
        assert ("WEBP", (144, 96)) == (made.format, made.size)


def test_a_server_that_refuses_is_one_clear_line(service, photo, tmp_path):
    """And the status is 1."""
    where = ("--server", service.url, "--api-key", "SG_00")
    done = openkontext("edit", photo, "make it snow", *where, cwd=tmp_path)
    assert 1 == done.returncode
    assert "error: The x-api-key is wrong, expired or revoked\n" == done.stderr


def test_an_edit_is_made_again_by_its_receipt(photo, tiny, tmp_path):
    """`openkontext replay` ends with status 0 if the pixels are the same, and with 1 and the reason if they aren't."""
    openkontext("edit", photo, "make it snow", "-o", "a.png", "--model", tiny, "--steps", 4, cwd=tmp_path)
    same = openkontext("replay", "a.png", "--input", photo, "--out", "b.png", "--model", tiny, cwd=tmp_path)
    assert (0, "") == (same.returncode, same.stdout), same.stderr
    assert "b.png: the same pixels as a.png" in same.stderr
    with Image.open(tmp_path / "a.png") as made, Image.open(tmp_path / "b.png") as again:
        assert made.tobytes() == again.tobytes()
    (tmp_path / "other.png").write_bytes(picture(240, 200))
    other = openkontext("replay", "a.png", "--input", "other.png", "--model", tiny, cwd=tmp_path)
    assert (1, "") == (other.returncode, other.stdout)
    assert "not the same pixels as a.png" in other.stderr
    assert "the picture given isn't the one that was edited" in " ".join(other.stderr.split())


def test_events_are_followed_without_a_public_address(service, http, photo, tmp_path):
    """`openkontext webhooks listen` shows what the running service signs, verified, until Ctrl-C."""
    words = ("webhooks", "listen", "--server", service.url, "--data", service.data)
    listening = subprocess.Popen(
        command(*words), cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert "listening" in listening.stderr.readline()
        form = {"prompt": "make it snow", "num_inference_steps": "4"}
        submitted = http.post(f"/v2/{SLUG}", data=form, files={"input_image": photo.read_bytes()}).json()
        line = listening.stdout.readline()
        assert line.endswith(f"request.completed  {submitted['request_id']}  verified\n")
        listening.send_signal(signal.SIGINT)
        assert 0 == listening.wait(20)
    finally:
        listening.kill()
        listening.communicate()
