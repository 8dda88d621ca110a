"""What edits took is kept, for the estimates of those that follow."""

from openkontext.contract import State
from openkontext.engine import Engine
from openkontext.store import Store
from tests.checkpoints import MAX_AREA
from tests.service import eventually
from tests.worker.conftest import hooked, moderated


def test_an_edit_is_measured(submit, run, store: Store, engine: Engine):
    """By checkpoint and size: its steps, and all else."""
    job, body = run(submit(steps=5))
    assert State.COMPLETED is job.state
    timing = eventually(lambda: store.timing(engine.checkpoint.name, 64, 64))
    assert 1 == timing.samples
    assert 0 < timing.step_seconds < body["metrics"]["inference_time"] / 4
    assert timing.other_seconds > 0
    assert store.timing(engine.checkpoint.name, 128, 128).step_seconds > timing.step_seconds


def test_an_edit_that_failed_is_not_measured(submit, run, store: Store, engine: Engine, nsfw):
    """It may have ended anywhere."""
    job, _ = run(submit(), moderator=moderated(nsfw, 0))
    assert State.FAILED is job.state
    assert store.timing(engine.checkpoint.name, 64, 64) is None


def test_a_worker_tells_how_large_its_pictures_are(submit, run, store: Store, engine: Engine):
    """So that a gateway, which has no model, knows what size was measured."""
    told = []
    job = submit()
    with hooked(engine, lambda *_: told.extend(store.workers())):
        run(job)
    assert (MAX_AREA, engine.checkpoint.name) == (told[0].max_area, told[0].checkpoint)
