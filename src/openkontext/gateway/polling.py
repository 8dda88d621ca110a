"""How often a key may poll one gateway: counted in memory, so that a poll costs no write."""

from openkontext.store.bucket import Bucket

# Of more keys than this, those that polled last are remembered.
_MANY = 10_000


class PollLimit:
    """A token bucket of ``limit`` polls a minute for each key; 0 is no limit. For one thread, the event loop's."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buckets: dict[int, Bucket] = {}

    def spend(self, key_id: int, now: float) -> None:
        """Count a poll at ``now`` (unix seconds). Raises RateLimited."""
        if not self._limit:
            return
        # Taken out and put in again, so that the dictionary's first is who polled longest ago.
        last = self._buckets.pop(key_id, None) or Bucket(self._limit, float(self._limit), now)
        self._buckets[key_id] = bucket = Bucket.refilled(self._limit, last.tokens, last.now, now)
        if len(self._buckets) > _MANY:
            del self._buckets[next(iter(self._buckets))]
        self._buckets[key_id] = bucket.spend()
