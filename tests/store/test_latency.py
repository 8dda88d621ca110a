"""The measured times of edits, as a page shows them."""

from openkontext.store import Store
from openkontext.store.records import Latency


def test_the_most_measured_first(store: Store) -> None:
    """Each checkpoint and size is one, with the averages that estimates are made of."""
    assert [] == store.latencies()
    for width, times in {512: 1, 768: 3}.items():
        for _ in range(times):
            store.note_timing("nano", width, 512, step_seconds=0.2, other_seconds=0.5)
    store.note_timing("dev", 512, 512, step_seconds=2, other_seconds=4)
    found = [(each.checkpoint, each.width, each.height, each.samples) for each in store.latencies()]
    assert [("nano", 768, 512, 3), ("dev", 512, 512, 1), ("nano", 512, 512, 1)] == found
    assert Latency(2, 4, 1, "dev", 512, 512) == store.latencies()[1]


def test_there_is_a_bound(store: Store) -> None:
    """Clients choose the sizes, and the list is open to all."""
    for width in range(16, 16 * 61, 16):
        store.note_timing("nano", width, 512, step_seconds=0.2, other_seconds=0.5)
    assert 50 == len(store.latencies())
