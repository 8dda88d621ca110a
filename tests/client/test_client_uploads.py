"""Uploading: asked for, and by itself for what is large."""

import asyncio
import base64
import io
import json
import os
from email import message_from_bytes
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from openkontext import BadRequest, OpenkontextError, PayloadTooLarge
from openkontext.client.core import LARGE_BYTES
from tests.client.parts import Harness, Script, SmallServer, submitted

URL = "http://files.test/uploads/a.png?signature=x"
UPLOADED = httpx.Response(200, json={"file_urls": [URL], "urls": [URL], "message": "Uploaded 1 picture"})
HOSTED = "https://api.segmind.com/v1"


def large(more: int = 1) -> bytes:
    """A file that is a PNG as far as its first bytes tell."""
    return b"\x89PNG\r\n\x1a\n" + os.urandom(LARGE_BYTES + more - 8)


def part_of(request_headers: Any, body: bytes) -> tuple[str, str, str, bytes]:
    """The one part of a form: its field, file name, type and content."""
    head = f"content-type: {request_headers['content-type']}\r\n\r\n".encode()
    (part,) = message_from_bytes(head + body).get_payload()
    field = part.get_param("name", header="content-disposition")
    return field, part.get_filename(), part.get_content_type(), part.get_payload(decode=True)


def test_a_file_is_uploaded_and_named(sdk: Harness, server: SmallServer, tmp_path: Path) -> None:
    """As a form's file part, over a real socket; the answer is its URL."""
    path = tmp_path / "photo.png"
    path.write_bytes(large()[:100_000])
    server.answers = {"/upload-asset": (200, UPLOADED.content)}
    assert URL == sdk.call(sdk.client(base_url=server.url).files.upload, path)
    assert ("file", "photo.png", "image/png", path.read_bytes()) == part_of(server.headers[0], server.bodies[0])
    assert ["SG_test", str(len(server.bodies[0]))] == [
        server.headers[0][name] for name in ("x-api-key", "content-length")
    ]


@pytest.mark.parametrize("form", ["str", "bytes", "file", "pil"])
def test_every_form_of_a_picture_can_be_uploaded(sdk: Harness, form: str, tmp_path: Path) -> None:
    """Those that input_image takes; small ones too, where it is asked for."""
    picture = Image.new("RGB", (4, 3), "#336699")
    picture.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    forms = {"str": str(tmp_path / "a.png"), "bytes": data, "file": io.BytesIO(data), "pil": picture}
    script = Script(UPLOADED)
    assert URL == sdk.call(sdk.client(script).files.upload, forms[form])
    *_, content = part_of(script.requests[0].headers, script.requests[0].content)
    assert (picture.size, picture.tobytes()) == (Image.open(io.BytesIO(content)).size, picture.tobytes())


def test_what_has_a_url_keeps_it(sdk: Harness) -> None:
    """There is nothing to upload."""
    script = Script(UPLOADED)
    assert "http://i.test/a.png" == sdk.call(sdk.client(script).files.upload, "http://i.test/a.png")
    assert [] == script.requests


def test_several_are_uploaded_one_by_one(sdk: Harness) -> None:
    """Each in a request of its own, whose size the server bounds; the URLs are in the order given."""
    urls = [f"http://files.test/{name}" for name in "abc"]
    script = Script(*[httpx.Response(200, json={"file_urls": [url]}) for url in urls])
    assert urls == sdk.call(sdk.client(script).files.upload_many, [b"a", b"b", b"c"])
    assert [b"a", b"b", b"c"] == [part_of(request.headers, request.content)[-1] for request in script.requests]


def test_an_upload_is_repeated_whole(sdk: Harness, server: SmallServer, tmp_path: Path) -> None:
    """A file is sent from its start again, since the same picture twice is one upload."""
    path = tmp_path / "photo.png"
    path.write_bytes(large()[:100_000])
    server.answers = {"/upload-asset": ["drop", (503, "{}"), (200, UPLOADED.content)]}
    assert URL == sdk.call(sdk.client(base_url=server.url).files.upload, path)
    assert [path.read_bytes()] * 3 == [part_of(*sent)[-1] for sent in zip(server.headers, server.bodies, strict=True)]


def test_a_file_is_streamed(tmp_path: Path) -> None:
    """It is never in memory as a whole: no piece that goes out is larger than 64 KB."""
    path = tmp_path / "photo.png"
    path.write_bytes(large())
    sizes: list[int] = []

    class Wire(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            assert isinstance(request.stream, httpx.AsyncByteStream)
            sizes.extend([len(piece) async for piece in request.stream])
            return httpx.Response(200, content=UPLOADED.content)

    with asyncio.Runner() as runner:
        sdk = Harness("asyncio", runner)
        assert URL == sdk.call(sdk.client(transport=Wire()).files.upload, path)
        sdk.close()
    assert sum(sizes) > LARGE_BYTES
    assert max(sizes) <= 65536


@pytest.mark.parametrize("answer", [{}, {"file_urls": []}, {"file_urls": [7]}, {"file_urls": "x"}])
def test_an_upload_without_a_url_is_an_error(sdk: Harness, answer: Any) -> None:
    """A 200 that names no address is no success."""
    with pytest.raises(OpenkontextError, match=r"no URL for it|no JSON object"):
        sdk.call(sdk.client(Script(httpx.Response(200, json=answer))).files.upload, b"a")


@pytest.mark.parametrize("method", ["run_sync", "submit_async", "estimate"])
def test_a_large_picture_goes_ahead_of_the_edit(sdk: Harness, tmp_path: Path, method: str) -> None:
    """The edit names it by its URL; the caller's parameters stay as they are."""
    path = tmp_path / "photo.png"
    path.write_bytes(large())
    params = {"input_image": path, "prompt": "snow"}
    script = Script(UPLOADED, submitted())
    sdk.call(getattr(sdk.client(script), method), "slug", **params)
    assert "/upload-asset" == script.requests[0].url.path
    assert path.read_bytes() == part_of(script.requests[0].headers, script.requests[0].content)[-1]
    assert {"input_image": URL, "prompt": "snow"} == json.loads(script.requests[1].content)
    assert path == params["input_image"]


def sent_inline(request: httpx.Request) -> bytes:
    """The picture that an edit carries as a data: URI."""
    image = json.loads(request.content)["input_image"]
    return base64.b64decode(image.removeprefix("data:image/png;base64,"), validate=True)


def test_a_picture_that_is_not_large_goes_with_the_edit(sdk: Harness) -> None:
    """One request is less than two; a million bytes are the bound."""
    script = Script(submitted())
    data = large(0)
    sdk.call(sdk.client(script).submit_async, "slug", input_image=data)
    assert [data] == [sent_inline(request) for request in script.requests]


@pytest.mark.parametrize("status", [404, 405])
def test_a_server_without_uploads_gets_it_with_the_edit(sdk: Harness, status: int) -> None:
    """It is asked once, not with each edit."""
    script = Script(httpx.Response(status), submitted())
    client, data = sdk.client(script), large()
    for _ in range(2):
        sdk.call(client.submit_async, "slug", input_image=data)
    assert ["/upload-asset", "/v2/slug", "/v2/slug"] == [request.url.path for request in script.requests]
    assert [data, data] == [sent_inline(request) for request in script.requests[1:]]


def test_the_hosted_service_gets_it_with_the_edit(sdk: Harness) -> None:
    """Its uploads are at another address."""
    script = Script(submitted())
    data = large()
    sdk.call(sdk.client(script, base_url=HOSTED).submit_async, "slug", input_image=data)
    assert [data] == [sent_inline(request) for request in script.requests]


@pytest.mark.parametrize(("status", "error"), [(400, BadRequest), (413, PayloadTooLarge)])
def test_a_refused_upload_is_the_edits_error(sdk: Harness, status: int, error: type[Exception]) -> None:
    """What the server can't read or is too large stays that as a data: URI."""
    script = Script(httpx.Response(status, json={"error": "no"}))
    with pytest.raises(error):
        sdk.call(sdk.client(script).submit_async, "slug", input_image=large())
    assert 1 == len(script.requests)


def test_without_a_key_nothing_is_read(sdk: Harness) -> None:
    """The error is about the key, not about the file."""
    script = Script(UPLOADED)
    with pytest.raises(OpenkontextError, match="no API key"):
        sdk.call(sdk.client(script, api_key=None).files.upload, "nowhere.png")
    assert [] == script.requests
