"""The hosted service's own Python client, unmodified, against the real server; and ours in its place."""

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from PIL import Image

SCRIPT = Path(__file__).with_name("official_client.py")
ROOT = Path(__file__).parents[2]
# `make setup` puts the older release beside the environment's own.
OLDER = ROOT / ".venv" / "segmind-1.1.0"


@pytest.fixture(params=["segmind 1.3.0", "segmind 1.1.0", "openkontext"])
def seen(request, service, pictures):
    """What the script saw with this client."""
    module, _, version = request.param.partition(" ")
    path = [str(OLDER)] if version == "1.1.0" else []
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path)}
    if version:
        check = f"import segmind; assert segmind.__version__ == '{version}', segmind.__version__"
        subprocess.run([sys.executable, "-c", check], env=environment, check=True)
    command = [sys.executable, str(SCRIPT), module, service.url, service.key, f"{pictures}/picture.png"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_code_of_the_hosted_service_works_with_another_base_url(seen, service):
    """run, run_sync, submit_async, wait, status, result and every way to fail."""
    status, seed, output = seen.pop("run")
    assert ("COMPLETED", "42") == (status, seed)
    assert output.startswith(f"{service.url}/files/outputs/")
    with Image.open(httpx.get(output)) as image:
        assert ("PNG", (144, 96)) == (image.format, image.size)
    (failure, failed_status, failed_body) = seen.pop("failed")
    assert "404" in failure
    assert ("FAILED", "FAILED") == (failed_status, failed_body)
    assert {
        "run_sync": [200, "image/jpeg", "ffd8ff"],
        "queued": "QUEUED",
        "wait": ["7", "COMPLETED", "COMPLETED"],
        "timeout": True,
        "guidance": [400, "guidance must be a number from 0 to 10; got 11"],
        "promt": [400, "'promt' is not a parameter: did you mean prompt?"],
        "key": [401, "The x-api-key is wrong, expired or revoked"],
    } == seen
