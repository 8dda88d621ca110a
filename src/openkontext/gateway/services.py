"""What the routes work with, made once and passed along, so that tests need no patching."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from anyio import CapacityLimiter
from fastapi import Request

from openkontext.contract import money
from openkontext.media.blobs import Blobs
from openkontext.media.images import ImageLimits
from openkontext.media.signing import Signer
from openkontext.parts import image_limits, open_secrets, open_store
from openkontext.settings import Settings
from openkontext.store import Store

from .polling import PollLimit
from .watch import Watcher

# Bytes of the disk that uploads and inputs leave free: so that what is running can end, and what is old be deleted.
RESERVE = 64_000_000


@dataclass
class Services:
    """The gateway's parts; `draining` is set once, when the process is asked to stop."""

    settings: Settings
    store: Store
    blobs: Blobs
    signer: Signer
    watcher: Watcher
    # Whether a loaded worker is part of being ready: of `serve`, not of a lone gateway that may scale to zero.
    wants_worker: bool = False
    # Whether the listening socket is bound to this machine alone.
    on_loopback: bool = False
    draining: bool = field(default=False)
    # When the storage last failed, by the monotonic clock.
    failed_at: float = field(default=float("-inf"))

    @classmethod
    def open(cls, settings: Settings, *, wants_worker: bool = False, on_loopback: bool = False) -> "Services":
        """Open the store and blobs that the settings name. Raises `CannotStart`, BlobsUnavailable, StoreUnavailable."""
        store = open_store(settings)
        signer = Signer(open_secrets(settings).secrets)
        blobs = Blobs.open(settings.blobs, reserve=RESERVE)
        return cls(settings, store, blobs, signer, Watcher(store), wants_worker, on_loopback)

    def delete_blobs(self, keys: Sequence[str]) -> None:
        """Delete what the store has doomed, and only then forget it: a crash between repeats it, never skips it.

        Raises `BlobsUnavailable` and StoreUnavailable.
        """
        self.blobs.delete(keys)
        self.store.forget_blobs(keys)

    @cached_property
    def price(self) -> int:
        """Micro-credits of an edit."""
        return money.to_micros(self.settings.price)

    @cached_property
    def polls(self) -> PollLimit:
        """How often each key may poll."""
        return PollLimit(self.settings.poll_limit)

    @cached_property
    def looking(self) -> CapacityLimiter:
        """The threads that look at pictures: with more at once, Python's lock would keep the event loop waiting."""
        return CapacityLimiter(2)

    @cached_property
    def rendering(self) -> CapacityLimiter:
        """The thread that makes pages, for the same reason."""
        return CapacityLimiter(1)

    @cached_property
    def image_limits(self) -> ImageLimits:
        """Bounds of an input image."""
        return image_limits(self.settings)


def services_of(request: Request) -> Services:
    """The services of the app that serves this request."""
    services: Services = request.app.state.services
    return services
