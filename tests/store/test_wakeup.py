"""Learning of changes without asking for them."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from openkontext.store import Store


def test_version_changes_with_every_commit(store: Store, open_store: Callable[..., Store]):
    """The store's own writes are seen as well as another's, and reads are not."""
    other = open_store()
    seen = store.version()
    store.workers(), other.workers()
    assert store.version() == seen
    for writer, state in ((store, "ready"), (other, "busy")):
        writer.report_worker("w", state=state)
        assert store.version() != seen
        seen = store.version()


def test_wait_ends_with_a_commit(store: Store, open_store: Callable[..., Store]):
    """Whoever waits is woken by a write of anyone, long before the time is over."""
    other, seen = open_store(), store.version()
    started = time.monotonic()
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(store.wait, seen, 60)
        other.report_worker("w", state="ready")
        assert waiting.result(timeout=30) != seen
    assert time.monotonic() - started < 30


def test_wait_ends_with_its_time(store: Store):
    """If nothing happens the version is the same as before."""
    seen = store.version()
    assert store.wait(seen, 0.02) == seen


def test_nothing_is_missed_between_looking_and_waiting(store: Store):
    """A change before the wait began ends it at once."""
    seen = store.version()
    store.report_worker("w", state="ready")
    assert store.wait(seen, 60) != seen


def test_threads_may_share_it(store: Store):
    """The version means the same in every thread."""
    seen, found = store.version(), []
    threads = [threading.Thread(target=lambda: found.append(store.wait(seen, 60))) for _ in range(8)]
    for thread in threads:
        thread.start()
    store.report_worker("w", state="ready")
    for thread in threads:
        thread.join(30)
    assert found == [store.version()] * 8
