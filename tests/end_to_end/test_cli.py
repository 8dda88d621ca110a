"""The command line as people use it."""

import json
import os
import subprocess
import sys

import pytest
from PIL import Image

from tests.end_to_end.web import picture


def openkontext(*words, cwd, **environment):
    """Run the command; its outcome."""
    command = [sys.executable, "-m", "openkontext", *map(str, words)]
    return subprocess.run(
        command, cwd=cwd, env=os.environ | environment, capture_output=True, text=True, timeout=120, check=False
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
