"""`workers`: what runs the edits, and draining it before its machine is needed for something else."""

from typing import Annotated, Any

import typer

from openkontext.store import Store, WorkerRow

from .flags import AsJson, die, note, with_store
from .output import show_json, show_table
from .times import iso, shown_time

workers = typer.Typer(no_args_is_help=True, help="The workers that run the edits.")

_Which = Annotated[str | None, typer.Argument(metavar="[ID]", help="Its id; without it, all workers that there are.")]


@workers.command("list")
@with_store
def _list(store: Store, *, as_json: AsJson = False) -> None:
    """List the workers, as they last reported."""
    found = store.workers()
    if as_json:
        return show_json([_as_json(worker) for worker in found])
    head = ("id", "host", "pid", "device", "checkpoint", "state", "request", "seen", "started", "message")
    show_table(head, (_row(worker) for worker in found))


@workers.command("drain")
@with_store
def _drain(store: Store, which: _Which = None) -> None:
    """Have a worker, or all, end the edit under way and take no other; what is submitted waits."""
    _tell(store.drain(which), which)


@workers.command("resume")
@with_store
def _resume(store: Store, which: _Which = None) -> None:
    """Have a worker, or all, take edits again."""
    _tell(store.drain(which, wanted=False), which)


def _tell(changed: list[WorkerRow], which: str | None) -> None:
    if not changed:
        die("no worker is running" if which is None else f"there is no worker {which!r}; see: openkontext workers list")
    for worker in changed:
        note(f"{worker.id}: {worker.state}")


def _row(worker: WorkerRow) -> tuple[object, ...]:
    named = (worker.id, worker.host, worker.pid, worker.device, worker.checkpoint, worker.state, worker.job_id)
    times = (shown_time(worker.seen_at), shown_time(worker.started_at))
    return tuple("-" if each is None else each for each in (*named, *times, worker.message))


def _as_json(worker: WorkerRow) -> dict[str, Any]:
    names = ("id", "host", "pid", "device", "checkpoint", "state", "message", "drain")
    times = {"seen_at": iso(worker.seen_at), "started_at": iso(worker.started_at)}
    return {name: getattr(worker, name) for name in names} | {"request_id": worker.job_id} | times
