"""Uploads: what is kept and answered, what is refused, and that an upload is an input without a fetch."""

import asyncio
import hashlib
import json
import threading

import pytest

from openkontext.media.blobs import Blobs, BlobsUnavailable
from openkontext.store import StoreUnavailable
from tests.gateway.harness import EDIT, PICTURE, RUN, SUBMIT, assert_error, connect, data_uri, picture

UPLOAD = "/upload-asset"
OTHER = picture(40, 40)


async def uploaded(gateway, *pictures):
    """The addresses of pictures that were sent as data URLs."""
    response = await gateway.http.post(UPLOAD, json={"data_urls": [data_uri(each) for each in pictures]})
    assert response.status_code == 200, response.text
    return response.json()["file_urls"]


@pytest.mark.parametrize("kind", ["json", "form"])
async def test_the_answer(gateway, kind):
    """Addresses come in the order given, serve what was sent, and live for a day."""
    sent = [PICTURE, OTHER]
    if kind == "json":
        response = await gateway.http.post(UPLOAD, json={"data_urls": [data_uri(each) for each in sent]})
    else:
        files = [("file", ("a.png", PICTURE, "image/png")), ("whatever", ("b", OTHER, "text/plain"))]
        response = await gateway.http.post(UPLOAD, files=files)
    body = response.json()
    assert (200, ["file_urls", "message", "urls"]) == (response.status_code, sorted(body))
    assert body["file_urls"] == body["urls"]
    assert "Uploaded 2 pictures; until 2027-01-16T08:00:00Z" in body["message"]
    assert [PICTURE, OTHER] == [(await gateway.http.get(url)).content for url in body["urls"]]
    gateway.clock.advance(86_400)
    assert_error(await gateway.http.get(body["urls"][0]), 404, "not_found")


@pytest.mark.parametrize(("form", "extension"), [("PNG", "png"), ("JPEG", "jpg"), ("GIF", "gif"), ("WEBP", "webp")])
async def test_the_extension_is_what_the_picture_is(gateway, form, extension):
    """A picture's address ends as its content says, whatever type it claims."""
    response = await gateway.http.post(UPLOAD, files={"x": ("a.txt", picture(form=form), "text/html")})
    assert response.json()["urls"][0].partition("?")[0].endswith(f".{extension}")


async def test_a_large_file_is_streamed(start):
    """A file beyond what is held in memory arrives whole; so does a second one with it."""
    gateway = await start(max_body_mb=10)
    large = [PICTURE + bytes([number]) * 3_000_000 for number in (1, 2)]
    response = await gateway.http.post(UPLOAD, files=[("a", large[0]), ("a", large[1])])
    assert large == [(await gateway.http.get(url)).content for url in response.json()["urls"]]


async def test_the_same_picture_again(gateway):
    """An account's picture is stored once, and lives on from its last upload."""
    first, twin = await uploaded(gateway, PICTURE, PICTURE)
    stored = gateway.blobs
    assert (1, first) == (len(stored), twin)
    gateway.clock.advance(80_000)
    (later,) = await uploaded(gateway, PICTURE)
    assert stored == gateway.blobs
    gateway.clock.advance(80_000)
    assert_error(await gateway.http.get(first), 404, "not_found")
    assert (await gateway.http.get(later)).content == PICTURE


async def test_another_account_has_its_own(gateway):
    """What one account uploaded tells another nothing, and is not its to keep alive."""
    await uploaded(gateway, PICTURE)
    secret = gateway.new_key(gateway.new_account("another"))
    async with connect(gateway.app, secret) as http:
        await http.post(UPLOAD, json={"data_urls": [data_uri(PICTURE)]})
    assert len(gateway.blobs) == 2


async def test_a_lost_file_is_stored_again(gateway):
    """An upload whose file is gone from the storage is whole after the next upload."""
    (url,) = await uploaded(gateway, PICTURE)
    gateway.services.blobs.delete(gateway.blobs)
    assert [url] == await uploaded(gateway, PICTURE)
    assert (await gateway.http.get(url)).content == PICTURE


async def test_two_at_once(gateway, monkeypatch):
    """When one picture is uploaded twice at the same time one file is kept, and both addresses serve it."""
    upload, both = gateway.services.store.upload, threading.Barrier(2, timeout=20)

    def together(*arguments):
        found = upload(*arguments)
        both.wait()
        return found

    monkeypatch.setattr(gateway.services.store, "upload", together)
    (one,), (other,) = await asyncio.gather(uploaded(gateway, PICTURE), uploaded(gateway, PICTURE))
    gateway.services.blobs.delete(gateway.services.store.expire())
    assert (one, 1) == (other, len(gateway.blobs))
    assert (await gateway.http.get(one)).content == PICTURE


async def test_again_while_the_old_file_goes(gateway):
    """An upload outlives the deletion of an earlier one's file, whenever that comes."""
    await uploaded(gateway, PICTURE)
    gateway.clock.advance(86_400)
    doomed = gateway.services.store.expire()
    (url,) = await uploaded(gateway, PICTURE)
    gateway.services.blobs.delete(doomed)
    assert (await gateway.http.get(url)).content == PICTURE


@pytest.mark.parametrize("path", [SUBMIT, RUN])
async def test_an_upload_is_an_input(gateway, path):
    """The address is a picture of v1 and v2 that no worker has to fetch."""
    (url,) = await uploaded(gateway, PICTURE)
    answer = asyncio.create_task(gateway.http.post(path, json=EDIT | {"input_image": url}))
    claim = await asyncio.to_thread(gateway.worker.take)
    assert {"kind": "blob", "key": f"inputs/{claim.job_id}"} == claim.input
    assert gateway.services.blobs.get(claim.input["key"]) == PICTURE
    gateway.worker.complete(claim)
    assert (await answer).status_code == 200


async def test_an_upload_in_an_estimate(gateway):
    """The address is good for an estimate too."""
    (url,) = await uploaded(gateway, PICTURE)
    response = await gateway.http.post(f"{SUBMIT}/estimate", json=EDIT | {"input_image": url})
    assert (200, 0.04) == (response.status_code, response.json()["cost"])


async def test_an_upload_that_has_expired(gateway):
    """After its time the address is refused at submit, and its file is deleted."""
    (url,) = await uploaded(gateway, PICTURE)
    gateway.clock.advance(86_400)
    response = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": url})
    assert "expired" in assert_error(response, 400, "invalid_image")["error"]
    gateway.services.blobs.delete(gateway.services.store.expire())
    assert gateway.blobs == set()


async def test_the_lifetime_is_a_setting(start):
    """How long an upload lives is the operator's choice."""
    gateway = await start(upload_lifetime=60)
    (url,) = await uploaded(gateway, PICTURE)
    gateway.clock.advance(59)
    assert (await gateway.http.get(url)).status_code == 200
    gateway.clock.advance(1)
    assert (await gateway.http.get(url)).status_code == 404


BAD = [
    (b"hello", "not a picture"),
    (b"", "empty"),
    (PICTURE[:-20], "cut off"),
    (picture(410, 100), "4:1"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
]


@pytest.mark.parametrize(("bad", "words"), BAD, ids=lambda value: str(value)[:20])
async def test_one_bad_picture_refuses_all(gateway, bad, words):
    """The first picture that is none is named by its number; nothing is kept."""
    form = await gateway.http.post(UPLOAD, files=[("a", PICTURE), ("b", bad), ("c", b"worse")])
    body = await gateway.http.post(UPLOAD, json={"data_urls": [data_uri(PICTURE), data_uri(bad), data_uri(b"worse")]})
    for response in (form, body):
        error = assert_error(response, 400, "invalid_image")["error"]
        assert error.startswith("file 2: the image")
        assert words in error
    assert gateway.blobs == set()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "data_urls must be a list of 1 to 10"),
        ({"data_urls": []}, "data_urls must be a list of 1 to 10"),
        ({"data_urls": "data:image/png;base64,AA=="}, "data_urls must be a list of 1 to 10"),
        ({"data_urls": None}, "data_urls must be a list"),
        ({"data_urls": ["x"] * 11}, "data_urls must be a list of 1 to 10"),
        ({"data_urls": [data_uri(PICTURE), 5]}, "number 2 is not a string"),
        ({"data_url": data_uri(PICTURE)}, "did you mean data_urls"),
        ({"data_urls": [data_uri(PICTURE)], "extra": 1}, "'extra' is not a parameter"),
        ({"\ud800": 1}, "is not a parameter"),
    ],
    ids=lambda value: str(value)[:30].encode("ascii", "replace").decode(),
)
async def test_json_that_is_refused(gateway, body, words):
    """The body is one list of data URLs."""
    response = await gateway.http.post(UPLOAD, content=json.dumps(body), headers={"content-type": "application/json"})
    assert words in assert_error(response, 400, "invalid_parameter")["error"]


async def test_urls_are_not_fetched(gateway):
    """Only what the request carries is uploaded."""
    response = await gateway.http.post(UPLOAD, json={"data_urls": ["https://example.com/a.png"]})
    assert "file 1" in assert_error(response, 400, "invalid_image")["error"]


async def test_forms_that_are_refused(gateway):
    """Texts, too many files, none, and what is no form are told."""
    text = await gateway.http.post(UPLOAD, files=[("a", PICTURE), ("note", (None, "hello"))])
    assert "'note' is not a file" in assert_error(text, 400, "invalid_parameter")["error"]
    many = await gateway.http.post(UPLOAD, files=[("a", PICTURE)] * 11)
    assert "10" in assert_error(many, 400, "invalid_form")["error"]
    kind = {"content-type": "multipart/form-data; boundary=x"}
    none = await gateway.http.post(UPLOAD, content=b"--x--\r\n", headers=kind)
    assert "no file" in assert_error(none, 400, "invalid_parameter")["error"]
    broken = await gateway.http.post(UPLOAD, content=b"nonsense", headers=kind)
    assert_error(broken, 400, "invalid_form")
    other = await gateway.http.post(UPLOAD, content=PICTURE, headers={"content-type": "image/png"})
    assert_error(other, 400, "unsupported_media_type")
    assert gateway.blobs == set()


async def test_limits(start):
    """A picture has its own limit, the body another."""
    gateway = await start(max_image_mb=0.01, max_body_mb=0.1)
    large = PICTURE + bytes(20_000)
    for response in (
        await gateway.http.post(UPLOAD, files={"a": large}),
        await gateway.http.post(UPLOAD, json={"data_urls": [data_uri(large)]}),
    ):
        error = assert_error(response, 400, "invalid_image")["error"]
        assert error.startswith("file 1: ")
        assert "0.01 MB" in error
    for response in (
        await gateway.http.post(UPLOAD, files={"a": PICTURE + bytes(200_000)}),
        await gateway.http.post(UPLOAD, json={"data_urls": [data_uri(PICTURE + bytes(200_000))]}),
    ):
        assert_error(response, 413, "payload_too_large")


async def test_keys(gateway):
    """A key is needed, by its header, and it must be one that may edit."""
    body = {"data_urls": [data_uri(PICTURE)]}
    async with connect(gateway.app) as http:
        assert_error(await http.post(UPLOAD, json=body), 401, "missing_key")
        bearer = {"authorization": f"Bearer {gateway.secret}"}
        assert_error(await http.post(UPLOAD, json=body, headers=bearer), 401, "missing_key")
        reader = {"x-api-key": gateway.new_key(may_edit=False)}
        assert_error(await http.post(UPLOAD, json=body, headers=reader), 403, "forbidden")
    assert_error(await gateway.http.get(UPLOAD), 405, "method_not_allowed")
    assert gateway.blobs == set()


async def test_uploads_count_as_polls(start):
    """Too many uploads are told when to go on; they cost no submit."""
    gateway = await start(poll_limit=2)
    for _ in range(2):
        await uploaded(gateway, PICTURE)
    response = await gateway.http.post(UPLOAD, json={"data_urls": [data_uri(PICTURE)]})
    assert_error(response, 429, "rate_limited")
    assert int(response.headers["retry-after"]) >= 1


async def test_what_cannot_be_noted_is_not_kept(gateway, monkeypatch):
    """When the store fails after the file was written, the file goes; the client may try again."""

    def fail(*_):
        raise StoreUnavailable("sqlite", "locked")

    monkeypatch.setattr(gateway.services.store, "add_upload", fail)
    response = await gateway.http.post(UPLOAD, json={"data_urls": [data_uri(PICTURE)]})
    assert_error(response, 503, "unavailable")
    assert gateway.blobs == set()


class FullBlobs(Blobs):
    """Storage without room."""

    def __init__(self):
        """There is nothing behind it."""

    def put(self, key, data):
        raise BlobsUnavailable(key, "is full", "/secret/path: no space left on device")


async def test_a_full_disk(gateway):
    """A picture that can't be stored is a 503, and nobody's upload."""
    gateway.services.blobs = FullBlobs()
    response = await gateway.http.post(UPLOAD, json={"data_urls": [data_uri(PICTURE)]})
    assert_error(response, 503, "unavailable")
    digest = hashlib.sha256(PICTURE).hexdigest()
    assert gateway.services.store.upload(gateway.account.id, digest) is None
