"""What ``import openkontext`` costs and shows."""

import json
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version

import pytest

import openkontext

HEAVY = {
    "pydantic",
    "numpy",
    "torch",
    "PIL",
    "fastapi",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "diffusers",
    "transformers",
}


def modules_after(code: str) -> set[str]:
    """The top-level modules loaded after running code in a fresh Python."""
    show = "import json, sys; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    run = subprocess.run([sys.executable, "-W", "error", "-c", f"{code}\n{show}"], capture_output=True, text=True)
    assert (0, "") == (run.returncode, run.stderr)
    return set(json.loads(run.stdout))


def test_the_package_alone_loads_nothing_else() -> None:
    """The server's processes live in this package too, and need no HTTP client."""
    loaded = modules_after("import openkontext; openkontext.__version__")
    assert set() == loaded & (HEAVY | {"httpx", "asyncio"})


def test_the_client_loads_httpx_alone() -> None:
    """Making a client, a job and a data URI needs nothing but httpx."""
    loaded = modules_after(
        "import openkontext\n"
        "for name in openkontext.__all__: getattr(openkontext, name)\n"
        "from openkontext.client.images import local_picture; local_picture(b'GIF89a').data_uri()\n"
        "openkontext.Client('SG_x').job('id')"
    )
    assert (set(), {"httpx"}) == (loaded & HEAVY, loaded & {"httpx"})


def test_all_names_are_there() -> None:
    """Every public name resolves, is listed by dir, and is the client's own."""
    assert sorted(openkontext.__all__) == sorted(openkontext.client.__all__)
    for name in openkontext.__all__:
        assert getattr(openkontext.client, name) is getattr(openkontext, name)
    assert set() == set(openkontext.__all__) - set(dir(openkontext))


def test_other_names_are_not() -> None:
    """A wrong name is the usual error."""
    with pytest.raises(AttributeError, match="module 'openkontext' has no attribute 'Klient'"):
        _ = openkontext.Klient  # type: ignore[attr-defined]  # that is the point


def test_the_version_is_the_packages() -> None:
    """The version in the code is the one installed, where the package is installed."""
    try:
        installed = version("openkontext")
    except PackageNotFoundError:
        pytest.skip("runs from the source tree")
    assert installed == openkontext.__version__
