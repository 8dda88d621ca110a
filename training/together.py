"""Training by several processes, each with a share of every batch, whose gradients are averaged: one a core, or a GPU.

Two threads in one process wait for each other at every small product; two processes only once a step.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

# A process may stand still for long: whoever needs the machine stops it for a while.
PATIENCE = timedelta(days=2)


def run_together(work: Callable[..., None], processes: int, folder: Path, *arguments: Any) -> None:
    """Call `work(*arguments)` in so many processes that know each other; here, if it is one. `folder` is their own."""
    if processes == 1:
        work(*arguments)
        return
    meeting = folder / "meeting"
    meeting.unlink(missing_ok=True)
    torch.multiprocessing.spawn(join, (processes, meeting, work, arguments), nprocs=processes)
    meeting.unlink(missing_ok=True)


def join(rank: int, processes: int, meeting: Path, work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    """One of the processes."""
    # By this it is told that its parent is gone; a shell's background jobs ignore it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    backend = "nccl" if torch.cuda.is_available() else "gloo"
    if torch.cuda.is_available():
        torch.cuda.set_device(rank)
    else:
        torch.set_num_threads(1)
    dist.init_process_group(backend, f"file://{meeting.resolve()}", PATIENCE, processes, rank)
    try:
        work(*arguments)
    finally:
        dist.destroy_process_group()


def rank() -> int:
    """Which of the processes this is, from 0; 0 is also the only one."""
    return dist.get_rank() if dist.is_initialized() else 0


def size() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def average(tensors: list[Tensor]) -> None:
    """Replace each tensor by its mean over all processes, in one exchange."""
    if size() == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    dist.all_reduce(flat)
    flat /= size()
    for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(part.view_as(tensor))


def divide(work: Callable[[Tensor], Tensor], items: Tensor) -> Tensor:
    """`work(items)` of (N, ...), which keeps shapes, with a share of the N done by each process; all get all of it."""
    if size() == 1:
        return work(items)
    results = torch.zeros_like(items)
    results[rank() :: size()] = work(items[rank() :: size()])
    dist.all_reduce(results)
    return results
