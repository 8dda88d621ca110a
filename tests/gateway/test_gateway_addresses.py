"""The addresses that clients are given: those that they can reach."""

import re

import pytest

from openkontext.media.signing import SecretFile
from tests.gateway.harness import EDIT, PICTURE, SUBMIT, connect

FORWARDED = {"x-forwarded-host": "kontext.example.com", "x-forwarded-proto": "https"}
PROXY = {"trusted_proxies": frozenset({"10.0.0.1"})}


@pytest.mark.parametrize(
    ("settings", "address", "headers", "expected"),
    [
        ({}, "10.0.0.9", {}, "http://gateway.test"),
        ({}, "10.0.0.9", {"host": "other.test:8443"}, "http://other.test:8443"),
        ({}, "10.0.0.9", {"host": "[::1]:8000"}, "http://[::1]:8000"),
        ({}, "10.0.0.1", FORWARDED, "http://gateway.test"),
        (PROXY, "10.0.0.9", FORWARDED, "http://gateway.test"),
        (PROXY, "10.0.0.1", FORWARDED, "https://kontext.example.com"),
        (PROXY, "10.0.0.1", {}, "http://gateway.test"),
        (PROXY, "10.0.0.1", {"x-forwarded-proto": "https"}, "https://gateway.test"),
        (PROXY, "10.0.0.1", {"x-forwarded-host": "a.example.com, b.internal"}, "http://a.example.com"),
        ({"public_url": "https://public.example.com/"}, "10.0.0.9", {}, "https://public.example.com"),
        ({"public_url": "https://public.example.com"} | PROXY, "10.0.0.1", FORWARDED, "https://public.example.com"),
        ({"public_url": "https://example.com/kontext"}, "10.0.0.9", {}, "https://example.com/kontext"),
    ],
)
async def test_base_url(start, settings, address, headers, expected):
    """A configured address, else a trusted proxy's word, else what the client asked for; nobody else is believed."""
    gateway = await start(**settings)
    async with connect(gateway.app, gateway.secret, address=address) as http:
        submitted = (await http.post(SUBMIT, json=EDIT, headers=headers)).json()
        request_id = submitted["request_id"]
        gateway.worker.complete()
        output = (await http.get(f"/v2/requests/{request_id}", headers=headers)).json()["output"]
    assert submitted["poll_url"] == f"{expected}/v1/requests/{request_id}"
    assert submitted["response_url"] == f"{expected}/v2/requests/{request_id}"
    assert submitted["status_url"] == f"{expected}/v2/requests/{request_id}/status"
    assert output.startswith(f"{expected}/files/outputs/{request_id}/1.png?")


ODD_HOSTS = [
    b"a b", b"evil.test/path", b"user@evil.test", b"evil.test?x=1#", b"evil.test#", b"[::1", b"[", b"]", b"[]", b"[x]",
    b"a:b", b"a:999999", b'"><script>', b"", b"\xff\xfe", b",b", b"a\\b", b"%0d%0a", b"..", b"x" * 5000,
    b"javascript:alert(1)//", b"-",
]  # fmt: skip


@pytest.mark.parametrize("header", ["host", "x-forwarded-host"])
async def test_what_is_no_host(start, header):
    """Whatever a header says, addresses have a host that can be one, and its path is ours; nothing breaks by it."""
    gateway = await start(trusted_proxies=frozenset({"10.0.0.1"}))
    async with connect(gateway.app, gateway.secret, address="10.0.0.1") as http:
        for host in ODD_HOSTS:
            body = (await http.post(SUBMIT, json=EDIT, headers={header: host})).json()
            assert re.fullmatch(
                r"http://(gateway\.test(:\d+)?|localhost)/v1/requests/[0-9a-f-]{36}", body["poll_url"]
            ), host
            own = EDIT | {"input_image": "http://gateway.test/files/outputs/x/1.png?expires=1&signature=x"}
            assert (await http.post(SUBMIT, json=own, headers={header: host})).status_code in (200, 400), host


async def test_what_is_no_scheme(start):
    """A proxy that passes on what its clients say can't have them given addresses other than http(s) ones."""
    gateway = await start(trusted_proxies=frozenset({"10.0.0.1"}))
    async with connect(gateway.app, gateway.secret, address="10.0.0.1") as http:
        for scheme in ("javascript", "data", "ftp", "file", "a b", "http:", "", "https://evil.test/"):
            body = (await http.post(SUBMIT, json=EDIT, headers={"x-forwarded-proto": scheme})).json()
            assert body["poll_url"].startswith("http://gateway.test/v1/requests/"), scheme


async def test_one_secret_for_all_processes(gateway):
    """An output's address outlives the process that gave it out."""
    from openkontext.gateway import Services

    again = Services.open(gateway.services.settings)
    arguments = ("outputs/a/1.png", 1_800_000_000)
    assert gateway.services.signer.sign(*arguments) == again.signer.sign(*arguments)
    again.store.close()


async def test_https_is_kept(gateway):
    """Asked for by https, the server answers with https."""
    async with connect(gateway.app, gateway.secret, base="https://gateway.test") as http:
        assert (await http.post(SUBMIT, json=EDIT)).json()["response_url"].startswith("https://gateway.test/")


async def test_the_secret_is_replaced_while_it_runs(gateway):
    """Addresses change with the next answer, the old ones are good until they end, and nothing else notices."""
    body = await gateway.completed()
    upload = (await gateway.http.post("/upload-asset", files={"a": PICTURE})).json()["urls"][0]
    secret = gateway.services.store.webhook_secret(gateway.account.id)
    edit, header = EDIT | {"input_image": upload}, {"idempotency-key": "once"}
    first = (await gateway.http.post(SUBMIT, json=edit, headers=header)).json()["request_id"]
    # As the command does it, in a process of its own.
    SecretFile(gateway.services.settings.data / "secret").rotate(gateway.clock(), lambda: gateway.clock() + 1800)
    again = (await gateway.http.get(f"/v2/requests/{body['request_id']}")).json()
    renewed = (await gateway.http.post("/upload-asset", files={"a": PICTURE})).json()["urls"][0]
    assert {name: again[name] for name in ("input", "output", "images")} == {
        name: again[name] for name in body if body[name] != again[name]
    }
    assert upload.partition("?")[0] == renewed.partition("?")[0]
    assert upload != renewed
    both = [(body["output"], upload), (again["output"], renewed)]
    for output, picture in both:
        assert [200, 200] == [(await gateway.http.get(url)).status_code for url in (output, picture)]
        replayed = await gateway.http.post(SUBMIT, json=EDIT | {"input_image": picture}, headers=header)
        assert ("true", first) == (replayed.headers["idempotency-replayed"], replayed.json()["request_id"])
    assert secret == gateway.services.store.webhook_secret(gateway.account.id)
    gateway.clock.advance(1800)
    for (output, picture), status in zip(both, (404, 200), strict=True):
        assert [status] * 2 == [(await gateway.http.get(url)).status_code for url in (output, picture)]
