"""Which server is spoken to, and who gets the key."""

import pytest

from openkontext import AuthenticationError
from tests.client.parts import BASE, REQUEST_ID, Harness, Script, addresses, state, submitted


@pytest.mark.parametrize("end", ["", "/", "/v1", "/v1/", "/v2", "/v2//"])
def test_a_base_url_may_end_in_a_version(sdk: Harness, end: str) -> None:
    """The hosted client's base URLs end in /v1; ours need not."""
    script = Script(submitted())
    client = sdk.client(script, base_url=f"{BASE}{end}")
    sdk.call(client.submit_async, "slug")
    sdk.call(client.run_sync, "/slug")
    assert [f"POST {BASE}/v2/slug", f"POST {BASE}/v1/slug"] == script.urls
    assert BASE == client.base_url


def test_a_base_url_may_have_a_path(sdk: Harness) -> None:
    """A server behind a prefix is reached under it, and is polled where it says."""
    base = "https://gw.test/kontext"
    script = Script(submitted(base), state("QUEUED"))
    job = sdk.call(sdk.client(script, base_url=f"{base}/v1").submit_async, "slug")
    sdk.call(job.status)
    assert [f"POST {base}/v2/slug", f"GET {base}/v2/requests/{REQUEST_ID}/status"] == script.urls


def test_a_job_by_id_is_at_the_base_url(sdk: Harness) -> None:
    """A request submitted elsewhere has the addresses that its submit would have named."""
    job = sdk.client(Script(state("QUEUED"))).job(REQUEST_ID)
    assert addresses() == {name: getattr(job, name) for name in ("request_id", "status_url", "response_url")}


@pytest.mark.parametrize(
    ("base", "named", "asked"),
    [
        (BASE, "http://internal:8000", BASE),
        (BASE, "https://server.test:9000", BASE),
        ("https://public.test", "http://public.test", "https://public.test"),
        ("http://[::1]:8000", "http://127.0.0.1:8000", "http://[::1]:8000"),
        ("http://server.test:80", "http://server.test", "http://server.test"),
    ],
)
def test_only_the_base_urls_origin_sees_the_key(sdk: Harness, base: str, named: str, asked: str) -> None:
    """Addresses at another origin are asked for at our own, where they lead to the same request."""
    script = Script(submitted(named), state("COMPLETED"), state("COMPLETED", output="x"))
    sdk.call(sdk.client(script, base_url=base).run, "slug")
    assert [f"GET {asked}/v2/requests/{REQUEST_ID}/status", f"GET {asked}/v2/requests/{REQUEST_ID}"] == script.urls[1:]
    assert ["SG_test"] * 3 == [request.headers["x-api-key"] for request in script.requests]


@pytest.mark.parametrize(
    ("argument", "variables", "expected"),
    [
        ("SG_a", {"OPENKONTEXT_API_KEY": "SG_b", "SEGMIND_API_KEY": "SG_c"}, "SG_a"),
        (None, {"OPENKONTEXT_API_KEY": "SG_b\n", "SEGMIND_API_KEY": "SG_c"}, "SG_b"),
        (None, {"OPENKONTEXT_API_KEY": "", "SEGMIND_API_KEY": "SG_c"}, "SG_c"),
        ("", {"OPENKONTEXT_API_KEY": " ", "SEGMIND_API_KEY": "SG_c"}, "SG_c"),
    ],
)
def test_where_the_key_comes_from(
    sdk: Harness, monkeypatch: pytest.MonkeyPatch, argument: str | None, variables: dict[str, str], expected: str
) -> None:
    """The argument, else our variable, else the hosted client's; blank ones don't count."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    script = Script(submitted())
    client = sdk.client(script, api_key=argument)
    sdk.call(client.submit_async, "slug")
    assert (expected, expected) == (script.requests[0].headers["x-api-key"], client.api_key)


@pytest.mark.parametrize("ask", ["run", "run_sync", "submit_async"])
def test_without_a_key_nothing_is_sent(sdk: Harness, ask: str) -> None:
    """A client can be made without a key; a request then says which variable to set, before it reads a picture."""
    script = Script(submitted())
    with pytest.raises(AuthenticationError, match=r"401 missing_key: no API key: .* OPENKONTEXT_API_KEY"):
        sdk.call(getattr(sdk.client(script, api_key=None), ask), "slug", input_image="nowhere.png")
    assert [] == script.requests


def test_where_the_base_url_comes_from(sdk: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    """The argument, else the variable, else this machine."""
    assert "http://127.0.0.1:8000" == sdk.client(base_url=None).base_url
    monkeypatch.setenv("OPENKONTEXT_BASE_URL", "https://gw.test/v1")
    assert "https://gw.test" == sdk.client(base_url=None).base_url
    assert BASE == sdk.client().base_url


@pytest.mark.parametrize(
    "address", ["127.0.0.1:8000", "localhost", "ftp://a.test", "http://", "https:///v1", "http://a:b"]
)
def test_a_base_url_needs_its_scheme_and_host(sdk: Harness, address: str) -> None:
    """The error shows what was given."""
    with pytest.raises(ValueError, match=f"must start with http:// or https://, and name a host; got '{address}'"):
        sdk.client(base_url=address)
