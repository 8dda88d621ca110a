"""The addresses that clients are given: those that they can reach."""

import pytest

from tests.gateway.harness import EDIT, SUBMIT, connect

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
