"""A worker in this process: a real store, real files and a tiny engine, one part exchanged where a test says so."""

import itertools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from structlog.testing import capture_logs

from openkontext.contract import parse
from openkontext.engine import Engine
from openkontext.media.blobs import Blobs
from openkontext.media.fetch import FetchPolicy
from openkontext.media.images import ImageLimits
from openkontext.media.notary import Notary
from openkontext.safety import Finding, ImageClassifier, Moderator
from openkontext.safety.nsfw import NSFWClassifier
from openkontext.safety.prompts import WordPolicy
from openkontext.store import Job, Key, Store, StoreSettings, input_key
from openkontext.worker.job import Desk
from openkontext.worker.link import Link
from openkontext.worker.loop import Worker
from tests.checkpoints import make_tiny_checkpoint
from tests.end_to_end.web import picture
from tests.service import eventually

PRICE = 40_000


def stage_of(image: Image.Image) -> str:
    """Which of an edit's pictures it is: previews are an eighth as wide as outputs, which are smaller than inputs."""
    return "preview" if image.width <= 16 else "output" if image.width < 300 else "input"


class Harmless:
    """A classifier that finds nothing in anything; what the test wants is done when it looks at a stage's picture."""

    def __init__(self, **then: Callable[[], object]) -> None:
        self._then = then

    def judge(self, image: Image.Image) -> Finding:
        self._then.get(stage_of(image), lambda: None)()
        return Finding("none", 0.0)


def moderated(classifier: ImageClassifier, threshold: float = 0.8) -> Moderator:
    """What judges pictures by ``classifier``, and prompts as it does unless a setting says otherwise."""
    return Moderator([(WordPolicy(), 1.0)], classifier, threshold)


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine.load(make_tiny_checkpoint(tmp_path_factory.mktemp("worker") / "tiny"), device="cpu")


@pytest.fixture(scope="session")
def nsfw() -> NSFWClassifier:
    return NSFWClassifier.load()


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "openkontext.db"


@pytest.fixture
def store(database: Path) -> Iterator[Store]:
    """A store whose leases last, and which waits for a locked database only briefly."""
    store = Store.open(database, settings=StoreSettings(lease_seconds=60, busy_timeout_seconds=0.1))
    store.migrate()
    yield store
    store.close()


@pytest.fixture
def key(store: Store) -> Key:
    account = store.create_account("someone")
    store.add_credits(account.id, 100 * PRICE)
    return store.create_key(account.id, rpm=None)[0]


@pytest.fixture
def blobs(tmp_path: Path) -> Blobs:
    return Blobs.open(tmp_path / "blobs")


@pytest.fixture(scope="session")
def notary(tmp_path_factory: pytest.TempPathFactory) -> Notary:
    return Notary.open(tmp_path_factory.mktemp("notary") / "c2pa", "", "")


@pytest.fixture
def desk(engine: Engine, blobs: Blobs, notary: Notary) -> Desk:
    return Desk(
        engine=engine,
        moderator=moderated(Harmless()),
        notary=notary,
        blobs=blobs,
        limits=ImageLimits(),
        fetch_policy=FetchPolicy(),
    )


@pytest.fixture
def submit(store: Store, key: Key, blobs: Blobs) -> Callable[..., Job]:
    """Submits an edit of a picture at ``url``, or of one that was sent."""
    numbers = itertools.count()

    def submit(url: str | None = None, steps: int = 4, **fields: Any) -> Job:
        asked = {"input_image": "file", "prompt": "make it snow", "num_inference_steps": steps} | fields
        parameters, _ = parse(asked)
        job_id = f"job-{next(numbers)}"
        blobs.put(input_key(job_id), picture())
        source = {"kind": "url", "url": url} if url else {"kind": "blob", "key": input_key(job_id)}
        return store.submit(key, parameters.as_dict(), source, price=PRICE, weight=1, steps=steps, job_id=job_id).job

    return submit


@contextmanager
def hooked(engine: Engine, before_step: Callable[..., None]) -> Iterator[None]:
    """Has ``before_step`` called before each of the transformer's steps."""
    hook = engine.checkpoint.transformer.register_forward_pre_hook(before_step)
    try:
        yield
    finally:
        hook.remove()


@contextmanager
def working(
    store: Store, desk: Desk, *, job_timeout: float = 600, drain: float = 60, lease: float = 60
) -> Iterator[Worker]:
    """A worker that runs in a thread until the block is left."""
    worker = Worker(
        "worker-a", store, desk, Link(None), lease=lease, step_timeout=600, job_timeout=job_timeout, drain=drain
    )
    thread = threading.Thread(target=worker.run)
    thread.start()
    try:
        yield worker
    finally:
        worker.stop()
        thread.join()


@pytest.fixture
def run(store: Store, desk: Desk) -> Callable[..., tuple[Job, dict[str, Any]]]:
    """Has a worker run a job to its end; returns the job and its stored body."""

    def run(job: Job, *, job_timeout: float = 600, **parts: Any) -> tuple[Job, dict[str, Any]]:
        with capture_logs(), working(store, replace(desk, **parts), job_timeout=job_timeout):
            ended = eventually(lambda: (now := store.job(job.id, job.account_id)).state.ended and now)
        body = store.result(job.id)
        assert body is not None
        return ended, body

    return run
