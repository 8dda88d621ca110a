"""The receipt of a job: what its file and its record say of how it came about, which is enough to do it again."""

import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from openkontext.contract import parse
from openkontext.engine import Engine
from openkontext.engine.pictures import as_seen
from openkontext.media.blobs import Blobs
from openkontext.media.images import CONTENT_TYPES, ImageLimits, decode
from openkontext.media.receipts import OPTIONAL, REQUIRED, read
from openkontext.provenance import circumstances
from openkontext.replaying import replay_file
from openkontext.settings import Settings
from openkontext.store import Job, Key, Store, input_key
from tests.checkpoints import make_tiny_checkpoint
from tests.end_to_end.web import picture
from tests.media.media_files import exif, noise, saved
from tests.worker.conftest import PRICE


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same weights as the worker's, in another folder."""
    return make_tiny_checkpoint(tmp_path_factory.mktemp("again") / "tiny")


@pytest.fixture
def submitted(store: Store, blobs: Blobs) -> Callable[..., Job]:
    """Submits an edit of a picture that was sent, by any key and of any parent."""

    def submitted(key: Key, parent_id: str | None = None, **fields: Any) -> Job:
        asked = {"input_image": "file", "prompt": "make it snow", "num_inference_steps": 4} | fields
        job_id = "child" if parent_id else "parent"
        blobs.put(input_key(job_id), picture())
        parameters = parse(asked)[0].as_dict()
        source = {"kind": "blob", "key": input_key(job_id)}
        job = store.submit(key, parameters, source, price=PRICE, weight=1, steps=4, job_id=job_id, parent_id=parent_id)
        return job.job

    return submitted


def test_the_file_and_the_record_say_the_same(submit, run, engine: Engine, blobs: Blobs):
    """All of what the edit was asked and done with; no key, account or address is among it."""
    job, body = run(submit(output_format="webp", output_quality=80, seed=7, guidance=2.5, aspect_ratio="1:1"))
    receipt = read(blobs.get(body["output"]["key"]))
    assert receipt == body["receipt"]
    elsewhere = {"parent_request_id", "prompt_cut", "disable_safety_checker"}
    assert (REQUIRED.keys() | OPTIONAL.keys()) - elsewhere == receipt.keys()
    asked = {
        "prompt": "make it snow",
        "aspect_ratio": "1:1",
        "guidance": 2.5,
        "num_inference_steps": 4,
        "seed": 7,
        "output_format": "webp",
        "output_quality": 80,
        "request_id": job.id,
    }
    made = {
        "width": 64,
        "height": 64,
        "checkpoint": "tiny",
        "fingerprint": engine.checkpoint.fingerprint,
        "dtype": "float32",
    }
    assert asked | made == {name: receipt[name] for name in asked | made}
    assert re.fullmatch(r"cpu \(\w+, \w+\)", receipt["device"])
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", receipt["created_at"])


def test_a_key_may_leave_the_prompt_out(submitted, run, store: Store, key: Key, blobs: Blobs):
    """Of the file and of the record's receipt; the result, which the client alone reads, still has it."""
    discreet = store.create_key(key.account_id, rpm=None, prompt_in_file=False)[0]
    _, body = run(submitted(discreet))
    data = blobs.get(body["output"]["key"])
    assert "prompt" not in body["receipt"]
    assert body["receipt"] == read(data)
    assert b"make it snow" not in data
    assert "make it snow" == body["prompt"]


def test_a_descendant_names_its_parent(submitted, run, key: Key, blobs: Blobs):
    """In its result and in its file."""
    parent, of_parent = run(submitted(key))
    _, body = run(submitted(key, parent_id=parent.id))
    assert parent.id == body["parent_request_id"]
    assert parent.id == read(blobs.get(body["output"]["key"]))["parent_request_id"]
    assert "parent_request_id" not in of_parent | of_parent["receipt"]


SENT = {
    "sideways": saved(noise(), "JPEG", exif=exif(6, gps=True)),
    "transparent": saved(noise("RGBA"), "PNG"),
    "a palette with alpha": saved(noise("P"), "PNG", transparency=3),
    "16 bits of grey": saved(noise("L").convert("I;16"), "PNG"),
}


@pytest.mark.parametrize("name", SENT)
def test_a_picture_is_known_again_from_its_file(engine: Engine, name: str):
    """The worker's receipt is of the picture as it is seen; who replays has the file, and gets the same digest."""
    picture = decode(SENT[name], ImageLimits())
    of_worker, of_replay = (circumstances(engine.checkpoint, image) for image in (as_seen(picture), picture))
    assert of_worker == of_replay


@pytest.mark.parametrize("format", CONTENT_TYPES)
def test_a_job_is_made_again_by_its_file(submit, run, checkpoint: Path, blobs: Blobs, tmp_path: Path, format: str):
    """By `openkontext replay`, without the service: the same pixels."""
    _, body = run(submit(output_format=format, output_quality=70))
    file, sent, out = tmp_path / f"file.{format}", tmp_path / "sent.png", tmp_path / "out.png"
    file.write_bytes(blobs.get(body["output"]["key"]))
    sent.write_bytes(picture())
    console = Console(file=io.StringIO(), width=300)
    asked = {"model": str(checkpoint), "device": "cpu", "prompt": None, "disable_safety_checker": False}
    same = replay_file(file, sent, out, **asked, settings=Settings(), console=console)
    assert same, console.file.getvalue()
    with Image.open(out) as made:
        assert (body["receipt"]["width"], body["receipt"]["height"]) == made.size
