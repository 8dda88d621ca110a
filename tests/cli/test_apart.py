"""Work in a child process: its answer comes back, and its end never is the parent's."""

import faulthandler
import os
from collections.abc import Callable

import psutil
import pytest

from openkontext.cli.apart import Died, apart


def greedy() -> str:
    """Wants 2 GB."""
    return str(len(bytearray(2_000_000_000)))


def crashing() -> str:
    """As Rust does when it panics where it mustn't, or runs out of memory or stack."""
    # Or it reports to the terminal that the tests run in.
    faulthandler.disable()
    os.abort()


def failing() -> str:
    """Raises."""
    raise ValueError


def endless() -> str:
    """Computes on and on."""
    while True:
        pass


def test_answer_comes_back() -> None:
    """As it was, whatever its length, from another process."""
    assert "é" * 200_000 == apart(lambda: "é" * 200_000, memory=500_000_000, seconds=10)
    assert str(os.getpid()) != apart(lambda: str(os.getpid()), memory=500_000_000, seconds=10)


@pytest.mark.parametrize("work", [greedy, crashing, failing])
def test_child_that_dies(work: Callable[[], str], capfd: pytest.CaptureFixture[str]) -> None:
    """One exception for each way, and no word of the child's own."""
    with pytest.raises(Died, match="too much memory, or crashed"):
        apart(work, memory=500_000_000, seconds=10)
    assert ("", "") == capfd.readouterr()


def test_child_without_end() -> None:
    """It gets its seconds of the processor and no more."""
    with pytest.raises(Died, match="it takes too long"):
        apart(endless, memory=500_000_000, seconds=1)


def test_no_child_is_left() -> None:
    """Each one is waited for."""
    before = psutil.Process().children()
    apart(str, memory=500_000_000, seconds=10)
    with pytest.raises(Died):
        apart(failing, memory=500_000_000, seconds=10)
    assert before == psutil.Process().children()
