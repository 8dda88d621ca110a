"""What the workers say of themselves, for people and for readiness, and what an operator wants of them."""

from dataclasses import fields
from typing import Any

import sqlalchemy as sa

from openkontext.contract import State

from .database import Database
from .jobs import ACTIVE
from .records import WorkerRow, WorkerState
from .schema import jobs, workers

_HAS_A_JOB = sa.exists().where(ACTIVE, jobs.c.state == State.PROCESSING, jobs.c.worker == workers.c.id)
# Keeps: who has a job is busy or draining, whether or not it has said so yet; a drained worker has none, and gets none.
_STATE = sa.case(
    (workers.c.state.not_in(["ready", "busy"]), workers.c.state),
    (workers.c.drain, sa.case((_HAS_A_JOB, "draining"), else_="drained")),
    (_HAS_A_JOB, "busy"),
    else_="ready",
).label("state")
_COLUMNS = [_STATE if field.name == "state" else workers.c[field.name] for field in fields(WorkerRow)]
_ALL = sa.select(*_COLUMNS).order_by(workers.c.id)
_ONE = sa.select(workers.c.pid).where(workers.c.id == sa.bindparam("worker")).with_for_update()
_INSERT = sa.insert(workers)
_UPDATE = sa.update(workers).where(workers.c.id == sa.bindparam("worker"))
_DRAIN = sa.update(workers).values(drain=sa.bindparam("wanted"))
_DELETE = sa.delete(workers).where(workers.c.id == sa.bindparam("worker"))


class Workers(Database):
    """The register of workers."""

    def report_worker(
        self,
        id: str,
        *,
        state: WorkerState,
        device: str | None = None,
        checkpoint: str | None = None,
        message: str | None = None,
        pid: int | None = None,
        host: str | None = None,
        job_id: str | None = None,
        max_area: int | None = None,
    ) -> None:
        """Note a worker's state, seen now. What it is (device, checkpoint and its largest output in pixels, pid, host)
        stays if not given again; ``message`` and ``job_id`` are what they are now. A new ``pid`` is a new start.
        """
        traits = {"device": device, "checkpoint": checkpoint, "pid": pid, "host": host, "max_area": max_area}
        values: dict[str, Any] = {name: value for name, value in traits.items() if value is not None}
        values |= {"state": state, "message": message, "job_id": job_id}
        with self._transaction() as connection:
            values["seen_at"] = now = self._now(connection)
            known = connection.execute(_ONE, {"worker": id}).first()
            if known is None:
                connection.execute(_INSERT, values | {"id": id, "started_at": now})
            else:
                values |= {} if pid in (None, known.pid) else {"started_at": now}
                connection.execute(_UPDATE.values(**values), {"worker": id})

    def workers(self) -> list[WorkerRow]:
        """All workers that were reported and not forgotten."""
        with self._read() as connection:
            return [WorkerRow(*row) for row in connection.execute(_ALL)]

    def drain(self, worker: str | None = None, *, wanted: bool = True) -> list[WorkerRow]:
        """Have ``worker``, or all that are known now, end the job that it has and take no other; or resume.

        Returns those as they are then: none if there is no such worker. Whoever starts later is not drained.
        """
        chosen = [] if worker is None else [workers.c.id == worker]
        with self._transaction() as connection:
            connection.execute(_DRAIN.where(*chosen), {"wanted": wanted})
            return [WorkerRow(*row) for row in connection.execute(_ALL.where(*chosen))]

    def forget_worker(self, id: str) -> None:
        """Take a worker off the register."""
        with self._transaction() as connection:
            connection.execute(_DELETE, {"worker": id})
