"""`openkontext worker`, whose model walks into a trap: ``trapped_worker.py TRAP NAME``.

While the file TRAP is there, a step of the transformer takes it away and does what it says: ``sleep`` for ever, sleep
and ``hold`` the interpreter's lock meanwhile, or ``break``, as CUDA does when its context is lost.
"""

import ctypes
import functools
import sys
import time
from pathlib import Path
from typing import Any, NoReturn

import torch
from diffusers import FluxTransformer2DModel

from openkontext.process import configure_logging
from openkontext.settings import Settings
from openkontext.worker.main import run

FOR_EVER = 3600
FEW = 3


def main() -> None:
    trap, name = Path(sys.argv[1]), sys.argv[2]
    forward, calls = FluxTransformer2DModel.forward, iter(range(1_000_000))

    @functools.wraps(forward)
    def trapped(*args: Any, **kwargs: Any) -> Any:
        if next(calls) >= FEW and trap.exists():
            kind = trap.read_text()
            trap.unlink()
            TRAPS[kind]()
        return forward(*args, **kwargs)

    FluxTransformer2DModel.forward = trapped
    configure_logging("info")
    run(Settings(), name)


def sleep() -> None:
    time.sleep(FOR_EVER)


def hold() -> None:
    # Called through PyDLL the function keeps the interpreter's lock.
    ctypes.PyDLL(None).sleep(FOR_EVER)


def broken(*args: Any, **kwargs: Any) -> NoReturn:
    # From now on every use of the device fails.
    torch.ones = broken
    raise torch.AcceleratorError("CUDA error: an illegal memory access was encountered")


TRAPS = {"sleep": sleep, "hold": hold, "break": broken}

if __name__ == "__main__":
    main()
