"""The distributions: they build, stay small, and work from a clean environment."""

import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# `make setup` downloads httpx and what it needs there, so that this needs no network.
WHEELHOUSE = ROOT / ".venv" / "wheelhouse"


def build(source, out):
    """Build the source distribution, and from it the wheel."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(out), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (wheel,) = out.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of openkontext."""
    return build(ROOT, tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The interpreter of a clean environment with the bare package."""
    folder = tmp_path_factory.mktemp("clean")
    venv.create(folder, with_pip=False)
    python = folder / "bin" / "python"
    install = ["install", "--no-index", "--find-links", str(WHEELHOUSE), "--quiet", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), *install], check=True)
    return python


def test_the_wheel_is_small_and_whole(wheel):
    """Under 600 KB, with types, migrations, all of the pages, and nothing of the checkpoints or tests."""
    names = zipfile.ZipFile(wheel).namelist()
    assert wheel.stat().st_size < 600_000
    assert "openkontext/py.typed" in names
    assert any(name.startswith("openkontext/store/migrations/") for name in names)
    folder = ROOT / "src" / "openkontext" / "web"
    pages = [path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {f"openkontext/web/{path.relative_to(folder)}" for path in pages} <= set(names)
    assert {"openkontext", f"openkontext-{version(wheel)}.dist-info"} == {name.split("/")[0] for name in names}


def version(wheel):
    """The version in the wheel's name."""
    return wheel.name.split("-")[1]


def test_the_bare_package_is_the_sdk_on_httpx_alone(python):
    """It imports in a clean environment, where nothing but httpx and its needs is installed."""
    code = "import openkontext; print(openkontext.__version__, openkontext.Client(api_key='SG_0').base_url)"
    done = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("0.1.0 http://127.0.0.1:8000")
    listed = subprocess.run(
        [sys.executable, "-m", "pip", "--python", str(python), "list", "--format=freeze"],
        capture_output=True,
        text=True,
        check=True,
    )
    installed = {line.split("==")[0].lower() for line in listed.stdout.splitlines()}
    allowed = {"openkontext", "httpx", "httpcore", "h11", "anyio", "certifi", "idna", "typing_extensions", "sniffio"}
    assert installed <= allowed


def test_the_command_says_what_to_install(python):
    """The bare package has no server; its command says how to get it."""
    done = subprocess.run([python.with_name("openkontext"), "serve"], capture_output=True, text=True)
    assert done.returncode == 1
    assert "pip install 'openkontext[serve]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_checkpoint_is_a_distribution_of_its_own(tmp_path):
    """openkontext-nano holds the whole diffusers folder."""
    wheel = build(ROOT / "checkpoints" / "nano", tmp_path)
    names = zipfile.ZipFile(wheel).namelist()
    folder = ROOT / "checkpoints" / "nano" / "openkontext_nano"
    files = {f"openkontext_nano/{path.relative_to(folder)}" for path in folder.rglob("*") if path.is_file()}
    assert {name for name in files if "__pycache__" not in name} <= set(names)
