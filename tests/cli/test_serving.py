"""What `serve` and `gateway` say about the address that they listen on."""

import io
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from openkontext.service import warn_if_readable
from openkontext.settings import Settings
from tests.service import environment

PROXY = frozenset({"10.0.0.1"})


@pytest.mark.parametrize(
    ("settings", "warned"),
    [
        ({}, False),
        ({"host": "localhost"}, False),
        ({"host": "127.8.9.1"}, False),
        ({"host": "::1"}, False),
        ({"host": "0.0.0.0"}, True),
        ({"host": "::"}, True),
        ({"host": "192.168.1.7"}, True),
        ({"host": "edits.example.com"}, True),
        ({"host": "0.0.0.0", "public_url": "http://edits.example.com"}, True),
        ({"host": "0.0.0.0", "public_url": "https://edits.example.com"}, False),
        ({"host": "0.0.0.0", "trusted_proxies": PROXY}, False),
    ],
)
def test_a_public_address_without_tls_is_warned_of(settings: dict[str, Any], warned: bool):
    """One line where other machines could listen in, unless a proxy is named; it says what silences it."""
    text = io.StringIO()
    warn_if_readable(Settings(**settings), Console(file=text))
    lines = text.getvalue().splitlines()
    assert ([True] if warned else []) == ["--public-url https://" in line for line in lines]


def test_a_lone_gateway_warns(tmp_path: Path):
    """It is said at the start, before anything could be sent."""
    command = [sys.executable, "-m", "openkontext", "gateway", "--host", "0.0.0.0"]
    with subprocess.Popen(command, env=environment(tmp_path, "nano"), stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            line = process.stderr.readline()
        finally:
            process.terminate()
    assert line.startswith("warning: 0.0.0.0 is served without TLS, so keys and pictures travel readable")
