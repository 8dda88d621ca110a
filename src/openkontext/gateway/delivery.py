"""Results that are delivered once: a picture that was sent to its end is erased, if its key's retention is none."""

from collections.abc import AsyncIterable, AsyncIterator

import structlog
from anyio import CancelScope, to_thread

from openkontext.media.blobs import BlobsUnavailable
from openkontext.store import StoreUnavailable

from .services import Services

log = structlog.get_logger(__name__)


async def sent_once(services: Services, job_id: str, pieces: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """``pieces`` of a request's output; after the last was sent, the store is told that it is delivered.

    A client that hangs up before stops the iteration, and nothing is erased.
    """
    async for piece in pieces:
        yield piece
    # Shielded, for a client that has everything may hang up now.
    with CancelScope(shield=True):
        await to_thread.run_sync(_delivered, services, job_id)


def _delivered(services: Services, job_id: str) -> None:
    try:
        if blobs := services.store.delivered(job_id):
            services.delete_blobs(blobs)
    except (StoreUnavailable, BlobsUnavailable) as error:
        # The client has its picture. What is left goes when the service's own retention ends.
        log.warning("delivered", request_id=job_id, error=str(error))
