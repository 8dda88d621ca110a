"""What a picture brought along, through a whole worker: nothing of it is in the output."""

import pytest

from openkontext.contract.states import State
from openkontext.media.blobs import Blobs
from openkontext.media.images import CONTENT_TYPES
from openkontext.store import input_key
from tests.media.hostile_files import MARK, PLANTED


@pytest.mark.parametrize("format", CONTENT_TYPES)
@pytest.mark.parametrize("source", ["jpeg", "png", "webp"])
def test_nothing_of_the_input_is_in_the_output(submit, run, blobs: Blobs, source: str, format: str):
    """Place, camera, comments, profiles and what stands behind the picture: the signed file has none of them."""
    job = submit(output_format=format)
    blobs.put(input_key(job.id), PLANTED[source](b"<html><script>"))
    ended, body = run(job)
    assert State.COMPLETED == ended.state
    written = blobs.get(body["output"]["key"])
    assert not any(mark in written for mark in (MARK, b"SECRET", b"<script"))
