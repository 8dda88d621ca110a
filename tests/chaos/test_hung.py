"""A model that hangs or breaks in a step, its process alive: found, replaced, and the job completes."""

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openkontext.contract import State, parse
from openkontext.media.blobs import Blobs
from openkontext.settings import Settings
from openkontext.store import Job, Key, Store, input_key
from openkontext.worker.supervisor import Child, Supervisor
from tests.chaos.edits import LONGEST, PRICE
from tests.end_to_end.web import picture
from tests.service import eventually

WORKER = Path(__file__).with_name("trapped_worker.py")
# So long that a busy machine keeps them. The second is the shorter by far: a worker that holds the interpreter ends
# itself some time after the first, if nobody has found it by then.
STEP_TIMEOUT = 20
SILENCE = 15


class Fleet:
    """A supervisor with one trapped worker, and what it heard of its deaths."""

    def __init__(self, data: Path, model: Path) -> None:
        self.trap = data / "trap"
        self.deaths: list[str] = []
        # The lease outlasts every hang: it is not its end that finds them.
        settings = Settings(data=data, model=str(model), lease=300, step_timeout=STEP_TIMEOUT, threads=1)
        self.store = Store.open(settings.database)
        self.store.migrate()
        self._blobs = Blobs.open(settings.blobs)
        self.key = self._funded_key()
        child = Child("worker", "worker-0", self._command, settings.environment())
        self.supervisor = Supervisor(self.store, [child], silence=SILENCE, drain=20, on_event=self._hear)

    def submit(self) -> Job:
        """A long edit in the queue."""
        fields = {"prompt": "make it snow", "num_inference_steps": LONGEST, "disable_safety_checker": True}
        parameters, _ = parse(fields | {"input_image": "file"})
        job_id = f"job-{len(self.deaths)}"
        self._blobs.put(input_key(job_id), picture())
        source = {"kind": "blob", "key": input_key(job_id)}
        submitted = self.store.submit(
            self.key, parameters.as_dict(), source, price=PRICE, weight=1, steps=LONGEST, job_id=job_id
        )
        return submitted.job

    def look(self, job: Job) -> Job:
        """The job as it is now."""
        now = self.store.job(job.id, job.account_id)
        assert now is not None
        return now

    def _funded_key(self) -> Key:
        account = self.store.create_account("local")
        self.store.add_credits(account.id, 100 * PRICE)
        return self.store.create_key(account.id, rpm=None)[0]

    def _command(self, name: str) -> list[str]:
        return [sys.executable, str(WORKER), str(self.trap), name]

    def _hear(self, child: Child, event: dict[str, Any]) -> None:
        if event["event"] == "dead":
            self.deaths.append(event["message"])


@pytest.fixture(scope="module")
def fleet(slow_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    fleet = Fleet(tmp_path_factory.mktemp("fleet"), slow_model)
    thread = threading.Thread(target=fleet.supervisor.run)
    thread.start()
    yield fleet
    fleet.supervisor.stop()
    thread.join()
    fleet.store.close()


@pytest.mark.parametrize(
    ("kind", "death"),
    [
        ("sleep", f"hung for {STEP_TIMEOUT} s at step "),
        ("hold", f"silent for {SILENCE} s"),
        ("break", "its device failed: CUDA error: an illegal memory access"),
    ],
)
def test_stuck_worker_is_replaced(fleet: Fleet, kind: str, death: str):
    """One that sleeps in a step, one that also stops its own heartbeat, and one whose device is lost."""
    fleet.trap.write_text(kind)
    job = fleet.submit()
    eventually(lambda: fleet.look(job).state.ended, within=200)
    ended = fleet.look(job)
    assert (State.COMPLETED, 2) == (ended.state, ended.attempt)
    assert fleet.deaths[-1].startswith(death)
    result = fleet.store.result(job.id)
    assert result is not None
    assert 1 == result["metrics"]["retry_count"]
    assert [] == fleet.store.verify_ledger()
