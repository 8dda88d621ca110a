"""Whose turn it is to write: in order, one at a time, and not waited for by everyone when it is in vain."""

import threading
import time

import pytest

from openkontext.store import turn
from openkontext.store.turn import WAIT_WITH_IT, Turn, TurnRefused
from tests.service import eventually


def wait_for(it: Turn, timeout: float, outcomes: list[bool]) -> threading.Thread:
    """A thread that waits for its turn, and notes whether it came."""

    def wait() -> None:
        try:
            with it.taken(timeout):
                outcomes.append(True)
        except TurnRefused:
            outcomes.append(False)

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


def test_a_turn_comes_when_the_other_ends():
    """Whoever waits goes next, with what is left of its time."""
    it, outcomes = Turn(), []
    with it.taken(5) as seconds:
        assert 4 < seconds <= 5
        thread = wait_for(it, 20, outcomes)
    thread.join()
    assert outcomes == [True]


def test_a_turn_that_does_not_come():
    """Waiting has an end."""
    it, outcomes = Turn(), []
    with it.taken(5):
        wait_for(it, 0.02, outcomes).join()
    assert outcomes == [False]


def test_a_failure_ends_a_turn():
    """The next one's turn comes all the same."""
    it = Turn()
    with pytest.raises(ValueError, match="oops"), it.taken(5):
        raise ValueError("oops")
    with it.taken(0):
        pass


def test_few_wait_for_a_turn_that_is_stuck(monkeypatch):
    """Of many that wait some are sent away long before their time, and those who stay get their turn."""
    monkeypatch.setattr(turn, "STUCK_SECONDS", 0.05)
    it, outcomes = Turn(), []
    began = time.monotonic()
    with it.taken(5):
        threads = [wait_for(it, 30, outcomes) for _ in range(WAIT_WITH_IT + 4)]
        eventually(lambda: len(outcomes) == 4, within=20)
        assert outcomes == [False] * 4
    for thread in threads:
        thread.join()
    assert outcomes == [False] * 4 + [True] * WAIT_WITH_IT
    assert time.monotonic() - began < 25
