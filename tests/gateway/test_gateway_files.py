"""The files route, and what retention leaves of a request."""

from urllib.parse import quote

import pytest

from openkontext.gateway.janitor import Janitor
from tests.gateway.harness import PICTURE, TIMES, assert_error, connect


@pytest.mark.parametrize(("form", "kind"), [("png", "image/png"), ("jpg", "image/jpeg"), ("webp", "image/webp")])
async def test_an_output(gateway, form, kind):
    """The address alone opens the file, with headers that keep it a picture and nothing else."""
    body = await gateway.completed(output_format=form)
    gateway.clock.advance(100)
    async with connect(gateway.app) as anybody:
        response = await anybody.get(body["output"])
    assert (200, PICTURE) == (response.status_code, response.content)
    expected = {
        "content-type": kind,
        "content-length": str(len(PICTURE)),
        "content-disposition": f'inline; filename="openkontext-{body["request_id"]}-1.{form}"',
        "cache-control": "private, max-age=3500",
        "x-content-type-options": "nosniff",
        "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    }
    assert expected == {name: response.headers[name] for name in expected}


async def test_the_headers_alone(gateway):
    """HEAD answers as GET does, without the bytes; what isn't there isn't there."""
    body = await gateway.completed()
    whole, head = await gateway.http.get(body["output"]), await gateway.http.head(body["output"])
    assert (200, b"", dict(whole.headers)) == (head.status_code, head.content, dict(head.headers))
    assert (await gateway.http.head(body["output"] + "0")).status_code == 404
    gateway.services.blobs.delete(gateway.blobs)
    assert (await gateway.http.head(body["output"])).status_code == 404


async def test_a_large_output_streams_whole(gateway):
    """A file of many chunks arrives as it is stored."""
    body = await gateway.completed()
    key = next(key for key in gateway.blobs if key.startswith("outputs/"))
    large = bytes(range(256)) * 8192
    gateway.services.blobs.put(key, large)
    assert (await gateway.http.get(body["output"])).content == large


FORGED_EXPIRIES = [
    "", "never", "+{}", " {}", "{} ", "0{}", "{}.0", "{}e0", "-{}", "1e18", "٣{}", "{}\u0660", "９９９９９９９９９９",
    "0x7fffffff", "9" * 20, "9" * 5000, "1_800_003_600", "inf", "nan", "{}\0", "{},{}",
]  # fmt: skip


async def test_addresses_that_were_changed(gateway):
    """Nothing opens by an address that the server didn't make: neither other files, nor for longer, nor inputs."""
    body = await gateway.completed()
    path, _, query = body["output"].partition("?")
    expires, signature = (part.partition("=")[2] for part in query.split("&"))
    other = (await gateway.completed(seed=8))["output"].partition("?")[0]
    request_id = body["request_id"]
    whole = f"outputs/{request_id}/1.png"
    changed = [
        path,
        f"{path}?expires={expires}",
        f"{path}?signature={signature}",
        f"{path}?{query}0",
        f"{path}?{query}&expires={int(expires) + 1}",
        f"{path}?{query}&signature=",
        f"{path}?EXPIRES={expires}&SIGNATURE={signature}",
        f"{path}?expires={expires}&signature={signature[:-1]}",
        f"{path}?expires={expires}&signature={signature.upper()}",
        f"{path}?expires={expires}&signature={signature}%00",
        f"{path}?expires={expires}&signature=%ff%fe",
        f"{path}?expires={int(expires) + 1}&signature={signature}",
        f"{other}?{query}",
        f"{path.replace('1.png', '2.png')}?{query}",
        f"{path.replace('1.png', '1.PNG')}?{query}",
        f"{path}/?{query}",
        f"{path}%00?{query}",
        f"{path}%2f..%2f1.png?{query}",
        f"{path.replace('outputs', 'inputs').removesuffix('/1.png')}?{query}",
        f"{path.replace(whole, '..%2f..%2fapi-key')}?{query}",
        f"{path.replace(whole, '%252e%252e%252fapi-key')}?{query}",
        f"{path.replace(whole, '..%5c..%5capi-key')}?{query}",
        f"{path.replace(whole, '%2fetc%2fpasswd')}?{query}",
        f"{path.replace(whole, f'inputs/..%2f{whole}')}?{query}",
        f"{path.replace(whole, whole.replace('/', '%252f'))}?{query}",
        f"{path.replace(whole, whole.replace('/', '%5c'))}?{query}",
        f"{path.replace(whole, whole.replace('/', '//'))}?{query}",
    ]
    texts = [quote(text.format(expires, expires)) for text in FORGED_EXPIRIES]
    changed += [f"{path}?expires={text}&signature={signature}" for text in texts]
    assert len(changed) == 48
    for url in changed:
        for method in ("GET", "HEAD"):
            response = await gateway.http.request(method, url)
            assert response.status_code == 404, url
    assert (await gateway.http.get(body["output"])).status_code == 200


async def test_other_spellings_of_an_address(gateway):
    """What decodes to the same address is the same file, for as long and as a whole: nothing is gained by it."""
    url = (await gateway.completed())["output"]
    spellings = [
        url.replace("/1.png", "%2F1.png"),
        url.replace("/files/outputs", "/files/%6futputs"),
        url.replace("?", "?expires=1&signature=x&"),
        f"{url}&more=1",
        "&".join([url.partition("?")[0] + "?", *reversed(url.partition("?")[2].split("&"))]),
    ]
    first = await gateway.http.get(url)
    for spelling in spellings:
        again = await gateway.http.get(spelling, headers={"range": "bytes=0-3"})
        assert (200, first.content, first.headers) == (again.status_code, again.content, again.headers)
    gateway.clock.advance(3600)
    assert [(await gateway.http.get(spelling)).status_code for spelling in spellings] == [404] * len(spellings)


async def test_an_address_of_what_was_erased(gateway):
    """Its time isn't over, but there is nothing there any more."""
    body = await gateway.completed()
    assert (await gateway.http.delete(f"/v2/requests/{body['request_id']}")).status_code == 204
    for method in ("GET", "HEAD"):
        assert (await gateway.http.request(method, body["output"])).status_code == 404


async def test_an_address_of_what_was_pinned(gateway):
    """Pinned and let go, the address that was to last for years ends with the file."""
    request_id = (await gateway.completed())["request_id"]
    pinned = (await gateway.http.post(f"/v2/requests/{request_id}/pin")).json()["output"]
    await gateway.http.delete(f"/v2/requests/{request_id}/pin")
    gateway.clock.advance(3600)
    Janitor(gateway.services).tidy(expire=True)
    assert_error(await gateway.http.get(pinned), 404, "not_found")


async def test_a_file_that_is_gone(gateway):
    """A valid address whose file is deleted is a 404."""
    body = await gateway.completed()
    gateway.services.blobs.delete(gateway.blobs)
    assert "gone" in assert_error(await gateway.http.get(body["output"]), 404, "not_found")["error"]


async def test_after_retention(gateway):
    """An hour after the end the request is unknown, its file's address too; then its files are deleted."""
    body = await gateway.completed()
    addresses = [body["output"], *(f"/{version}/requests/{body['request_id']}" for version in ("v1", "v2"))]
    addresses.append(f"/v2/requests/{body['request_id']}/status")
    gateway.clock.advance(3599)
    assert [(await gateway.http.get(address)).status_code for address in addresses] == [200] * 4
    gateway.clock.advance(1)
    for address in addresses:
        assert_error(await gateway.http.get(address), 404, "not_found")
    Janitor(gateway.services).tidy(expire=True)
    assert gateway.blobs == set()
    assert gateway.services.store.expire() == []
    assert gateway.balance == 9.96


async def test_a_failed_request_after_retention(gateway):
    """A FAILED request is kept as long, and its picture goes with it."""
    request_id = (await gateway.submit())["request_id"]
    gateway.worker.fail()
    gateway.clock.advance(3599)
    assert (await gateway.http.get(f"/v2/requests/{request_id}")).json()["metrics"] == TIMES
    gateway.clock.advance(1)
    assert_error(await gateway.http.get(f"/v2/requests/{request_id}"), 404, "not_found")
    Janitor(gateway.services).tidy(expire=True)
    assert gateway.blobs == set()


async def test_retention_is_a_setting(start):
    """A shorter retention ends earlier."""
    gateway = await start(retention=10)
    body = await gateway.completed()
    gateway.clock.advance(9)
    assert (await gateway.http.get(body["output"])).status_code == 200
    gateway.clock.advance(1)
    assert_error(await gateway.http.get(body["output"]), 404, "not_found")


async def test_the_janitor_fails_what_nobody_took(gateway):
    """A job that waited for an hour without a worker is FAILED, free of charge."""
    request_id = (await gateway.submit())["request_id"]
    gateway.clock.advance(3600)
    Janitor(gateway.services).tidy(expire=False)
    assert_error(await gateway.http.get(f"/v2/requests/{request_id}"), 422, "queue_timeout")
    assert gateway.balance == 10
