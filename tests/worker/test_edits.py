"""One job, by a worker with a real store and a tiny engine: what it results in, and what it costs."""

import io
from pathlib import Path

import pytest
from PIL import Image

from openkontext.contract import State
from openkontext.media.blobs import Blobs
from openkontext.media.fetch import FetchPolicy
from openkontext.store import Store
from tests.end_to_end.web import picture_server
from tests.worker.conftest import PRICE, hooked


def test_edit_is_finished_with_its_picture_and_metrics(submit, run, store: Store, blobs: Blobs):
    """COMPLETED, in the format asked for, charged once."""
    job, body = run(submit(output_format="webp", seed=7))
    assert (State.COMPLETED, 1) == (job.state, job.attempt)
    assert {
        "key": f"outputs/{job.id}/1.webp",
        "content_type": "image/webp",
        "file_name": f"{job.id}.webp",
        "file_size": blobs.size(f"outputs/{job.id}/1.webp"),
    } == body["output"]
    assert (7, "make it snow", []) == (body["seed"], body["prompt"], body["warnings"])
    assert {"output", "seed", "prompt", "warnings", "receipt", "metrics"} == set(body)
    assert {"cost", "remaining_credits", "inference_time", "queue_time", "total_time"} == set(body["metrics"])
    assert 0 < body["metrics"]["inference_time"] <= body["metrics"]["total_time"]
    assert "WEBP" == Image.open(io.BytesIO(blobs.get(body["output"]["key"]))).format
    assert 99 * PRICE == store.balance(job.account_id)


@pytest.fixture(scope="module")
def web():
    with picture_server() as address:
        yield address


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/picture.png", None),
        ("/wide.png", "invalid_image"),
        ("/text.png", "invalid_image"),
        ("/truncated.png", "invalid_image"),
        ("/missing.png", "fetch_failed"),
        ("/redirect-to-private.png", "fetch_failed"),
    ],
)
def test_picture_is_fetched_when_the_job_runs(submit, run, web: str, store: Store, path: str, code: str | None):
    """From a URL; what is wrong with it shows only now, is said, and costs nothing."""
    policy = FetchPolicy(allowed_hosts=frozenset({web.removeprefix("http://")}))
    job, body = run(submit(web + path), fetch_policy=policy)
    assert (code, 1) == (body.get("code"), job.attempt)
    assert (100 if code else 99) * PRICE == store.balance(job.account_id)


def test_private_address_is_not_fetched(submit, run, web: str):
    """Unless the settings name it."""
    _, body = run(submit(web + "/picture.png"))
    assert "fetch_failed" == body["code"]


def test_edit_that_takes_too_long_fails(submit, run, store: Store):
    """At the first step after the job timeout."""
    job, body = run(submit(steps=50), job_timeout=0.001)
    assert ("inference_failed", "The edit took longer than 0.001 s") == (body["code"], body["error"])
    assert (1, 100 * PRICE) == (job.attempt, store.balance(job.account_id))


def test_unexpected_error_is_tried_three_times(submit, run, engine, store: Store):
    """It may be of one process alone; after the last attempt it is FAILED, in words that give nothing away."""
    calls = []

    def fail(*_: object) -> None:
        calls.append(1)
        raise RuntimeError("/secret/path")

    with hooked(engine, fail):
        job, body = run(submit())
    assert (3, 3) == (len(calls), job.attempt)
    assert (State.FAILED, "inference_failed") == (job.state, body["code"])
    assert "The model could not make this edit" == body["error"]
    assert 100 * PRICE == store.balance(job.account_id)


def test_error_that_passes_costs_an_attempt_only(submit, run, engine):
    """The second try completes it, and says that it was one."""
    errors = iter([RuntimeError("once")])

    def fail_once(*_: object) -> None:
        for error in errors:
            raise error

    with hooked(engine, fail_once):
        job, body = run(submit())
    assert (State.COMPLETED, 1) == (job.state, body["metrics"]["retry_count"])


def test_files_that_can_not_be_written_fail_the_edit(submit, run, tmp_path: Path):
    """After three attempts, as the server's fault."""
    job = submit()
    (tmp_path / "blobs" / "outputs").write_text("in the way")
    ended, body = run(job)
    assert (State.FAILED, "unavailable", 3) == (ended.state, body["code"], ended.attempt)
