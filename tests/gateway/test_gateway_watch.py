"""Wake-ups and the exact cache."""

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest

from openkontext.gateway.watch import Watcher
from openkontext.store import Store, StoreUnavailable
from tests.gateway.harness import soon


@pytest.fixture
async def store(open_services) -> AsyncIterator[Store]:
    store = open_services().store
    yield store
    store.close()


async def test_a_change_during_the_read_is_not_missed(store):
    """What changes while the state is read wakes up as well, long before the slow poll."""
    watcher = Watcher(store)
    first = watcher.change
    watcher.start()
    await asyncio.wait_for(first.wait(), 20)
    woken = []

    async def read() -> str | None:
        if woken:
            return "done"
        changed = watcher.change
        store.report_worker("another", state="ready")
        await asyncio.wait_for(changed.wait(), 20)
        woken.append(True)
        return None

    began = asyncio.get_running_loop().time()
    assert await watcher.until(read, timeout=30) == "done"
    assert asyncio.get_running_loop().time() - began < 0.9
    await watcher.stop()


async def test_until_gives_up(store):
    """Nothing in time is None, and the last look is after the time."""
    watcher = Watcher(store)
    looks = []

    async def read() -> None:
        looks.append(asyncio.get_running_loop().time())

    began = asyncio.get_running_loop().time()
    assert await watcher.until(read, timeout=0.05) is None
    assert looks[-1] - began >= 0.05


async def test_the_cache_is_exact(store):
    """A value is read once, and again after any change, by whomever."""
    watcher = Watcher(store)
    reads = []

    def load() -> int:
        reads.append(True)
        return len(reads)

    values = [await watcher.cached("a", load), await watcher.cached("a", load)]
    store.report_worker("one", state="ready")
    values.append(await watcher.cached("a", load))
    elsewhere = Store.open(store._url)
    elsewhere.report_worker("two", state="ready")
    elsewhere.close()
    values += [await watcher.cached("a", load), await watcher.cached("a", load), await watcher.cached("b", load)]
    assert values == [1, 1, 2, 3, 3, 4]


async def test_what_changed_during_the_load_is_not_kept(store):
    """A value that was being read while the store changed is stale, even if others were read since."""
    watcher = Watcher(store)
    release = threading.Event()

    def slow() -> str:
        release.wait(20)
        return "old"

    reading = asyncio.create_task(watcher.cached("a", slow))
    await asyncio.sleep(0)
    store.report_worker("one", state="ready")
    assert await watcher.cached("b", lambda: "other") == "other"
    release.set()
    assert await reading == "old"
    assert await watcher.cached("a", lambda: "new") == "new"


async def test_who_asks_while_it_is_read_shares_the_answer(store):
    """One read for all; who goes away meanwhile doesn't take it along, and a failure is nobody's next answer."""
    watcher = Watcher(store)
    release, reads = threading.Event(), []

    def load() -> int:
        reads.append(True)
        release.wait(20)
        if len(reads) == 1:
            raise StoreUnavailable("here", "locked")
        return len(reads)

    for expected in (StoreUnavailable, 2):
        asking = [asyncio.create_task(watcher.cached("a", load)) for _ in range(4)]
        await soon(lambda expected=expected: len(reads) == (1 if expected is StoreUnavailable else 2))
        asking[0].cancel()
        release.set()
        answers = await asyncio.gather(*asking, return_exceptions=True)
        assert isinstance(answers[0], asyncio.CancelledError)
        assert [getattr(each, "__class__", None) if expected is StoreUnavailable else each for each in answers[1:]] == [
            expected
        ] * 3
        release.clear()
    assert len(reads) == 2


class FlakyStore(Store):
    """Fails once."""

    failed = False

    def wait(self, seen: int | None, timeout: float) -> int | None:
        if not self.failed:
            self.failed = True
            raise StoreUnavailable("here", "locked")
        return super().wait(seen, timeout)


async def test_the_watcher_survives_the_store(store, logs):
    """A store that is away for a moment doesn't end the wake-ups."""
    flaky = FlakyStore.open(store._url)
    watcher = Watcher(flaky)
    watcher.start()
    await soon(lambda: [entry for entry in logs if entry["event"] == "watcher"])
    changed = watcher.change
    store.report_worker("one", state="ready")
    await asyncio.wait_for(changed.wait(), 20)
    await watcher.stop()
    flaky.close()
