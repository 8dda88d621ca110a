"""Every answer of every route says what may be done with it: kept, guessed at, framed, told to others."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from openkontext.gateway.headers import with_usual_headers
from tests.gateway.harness import EDIT, RUN, SUBMIT, Gateway, Live, connect, picture

USUAL = {
    "cache-control": "no-store",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


# Of what isn't there, for the parameters in paths.
NOBODYS = {"slug": "flux-kontext-dev"} | dict.fromkeys(("webhook_id", "delivery_id", "worker_id", "key_id"), "x")


def told(response: httpx.Response) -> dict[str, str | None]:
    """What an answer says of itself; nothing that would open it to other sites, or promises TLS that isn't ours."""
    loose = ("access-control-", "strict-transport-", "set-cookie", "server", "x-powered-by", "vary", "etag", "age")
    assert [name for name in response.headers if name.startswith(loose)] == []
    assert all(len(response.headers.get_list(name)) == 1 for name in USUAL)
    return {name: response.headers.get(name) for name in USUAL}


def operations(gateway: Gateway, **ids: str) -> Iterator[tuple[str, str]]:
    """Method and path of every operation of the OpenAPI document, and of the document itself."""
    yield "GET", "/openapi.json"
    for path, methods in gateway.app.openapi()["paths"].items():
        for method in methods:
            yield method.upper(), path.format(**NOBODYS | ids)


# Answers that end by themselves only when the service does.
ENDLESS = "/v2/webhooks/events"


@pytest.mark.parametrize("who", ["nobody", "a stranger", "the owner"])
async def test_every_route(gateway: Gateway, who: str) -> None:
    """Whatever the answer is and whoever asks."""
    request_id = (await gateway.completed())["request_id"]
    secret = {"nobody": "", "a stranger": gateway.new_key(gateway.new_account("bob")), "the owner": gateway.secret}[who]
    walked = [each for each in operations(gateway, request_id=request_id) if each[1] != ENDLESS or not secret]
    statuses = set()
    async with connect(gateway.app, secret) as http:
        for method, path in sorted(walked, key=lambda each: each[0] == "DELETE"):
            response = await http.request(method, path)
            assert told(response) == USUAL, f"{method} {path}"
            statuses.add(response.status_code)
    assert len(walked) >= 25
    assert statuses >= {"nobody": {200, 401}, "a stranger": {200, 400, 404}, "the owner": {200, 204, 400, 404}}[who]


async def test_every_kind_of_error(gateway: Gateway, logs: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also those that no route makes: an unknown path, the wrong method, a body too large, a defect."""
    gateway.services.settings = gateway.services.settings.model_copy(update={"price": 10**9})
    large = {"content-length": "99999999"}
    answers = {
        404: await gateway.http.get("/nowhere"),
        405: await gateway.http.put(SUBMIT),
        413: await gateway.http.post(SUBMIT, content=b"{}", headers=large),
        400: await gateway.http.post(SUBMIT, content=b"{"),
        401: await gateway.http.get("/v2/requests", headers={"x-api-key": "wrong"}),
        406: await gateway.http.post(SUBMIT, json=EDIT),
    }

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr(gateway.services.store, "balance", broken)
    answers[500] = await gateway.http.get("/v1/get-user-credits")
    logs.clear()
    gateway.services.draining = True
    answers[503] = await gateway.http.get("/readyz")
    assert list(answers) == [response.status_code for response in answers.values()]
    assert [USUAL] * len(answers) == [told(response) for response in answers.values()]


async def test_pictures(gateway: Gateway) -> None:
    """A file may be kept by its reader for as long as it lives; in all else it is like any answer."""
    output = (await gateway.completed())["output"]
    upload = (await gateway.http.post("/upload-asset", files={"a": picture(form="GIF")})).json()["urls"][0]
    gateway.clock.advance(100)
    for url, kind, age in ((output, "image/png", 3500), (upload, "image/gif", 86300)):
        response = await gateway.http.get(url)
        assert USUAL | {"cache-control": f"private, max-age={age}"} == told(response)
        assert kind == response.headers["content-type"]
        assert response.headers["content-disposition"].startswith('inline; filename="openkontext-')


POLYGLOTS = {
    "html after a picture": (picture(), b"<html><script>alert(1)</script>"),
    "a script in a gif": (picture(form="GIF"), b"/*' ;alert(1)//*/"),
    "a pdf after a picture": (picture(form="JPEG"), b"%PDF-1.4\n1 0 obj"),
    "an archive after a picture": (picture(form="WEBP"), b"PK\x03\x04"),
}
NAMES = ("a.html", "a.svg", "../../a.js", 'a";x=y.html', "a\r\nset-cookie: x.png", "日本.png", "a" * 300)


@pytest.mark.parametrize("name", POLYGLOTS)
async def test_an_upload_is_a_picture_and_nothing_else(gateway: Gateway, name: str) -> None:
    """Whatever else it is, whatever it is called and said to be, it is served as the picture that it can be read as."""
    kinds = {b"\x89P": "image/png", b"GI": "image/gif", b"\xff\xd8": "image/jpeg", b"RI": "image/webp"}
    first, second = POLYGLOTS[name]
    for file_name in NAMES:
        sent = {"a": (file_name, first + second, "text/html")}
        answer = await gateway.http.post("/upload-asset", files=sent)
        if answer.status_code == 400:
            continue
        response = await gateway.http.get(answer.json()["urls"][0])
        assert kinds[first[:2]] == response.headers["content-type"]
        assert "nosniff" == response.headers["x-content-type-options"]
        assert "sandbox" in response.headers["content-security-policy"]
        assert file_name not in response.headers["content-disposition"]


async def test_no_site_of_others_may_ask(gateway: Gateway) -> None:
    """A browser's question whether a page of elsewhere may call is answered with no: by a 405 that allows nothing."""
    asked = {"origin": "https://evil.test", "access-control-request-method": "POST"}
    asked |= {"access-control-request-headers": "x-api-key"}
    async with connect(gateway.app) as browser:
        for path in {path for _, path in operations(gateway, request_id="x")}:
            response = await browser.options(path, headers=asked)
            assert 405 == response.status_code, path
            assert USUAL == told(response)


@pytest.mark.parametrize(
    "where", ["a cookie", "the query", "a bearer token", "a password", "the body", "another header"]
)
async def test_a_key_is_taken_from_its_header_alone(gateway: Gateway, where: str) -> None:
    """What browsers send by themselves, or write down in histories, identifies nobody: so no other site can use it."""
    secret = gateway.secret
    given: dict[str, dict[str, Any]] = {
        "a cookie": {"headers": {"cookie": f"x-api-key={secret}; api_key={secret}"}},
        "the query": {"params": dict.fromkeys(("x-api-key", "api_key", "key", "token", "access_token"), secret)},
        "a bearer token": {"headers": {"authorization": f"Bearer {secret}"}},
        "a password": {"auth": ("x-api-key", secret)},
        "the body": {"json": EDIT | {"x-api-key": secret}},
        "another header": {"headers": {"api-key": secret, "x-api-key-": secret}},
    }
    openai = "/v1/images/edits"
    async with connect(gateway.app) as http:
        for method, path in operations(gateway, request_id="x"):
            if (
                path in ("/openapi.json", "/healthz", "/readyz")
                or (method, path) == ("GET", SUBMIT)
                or "models" in path
            ):
                continue
            if (where, path) == ("a bearer token", openai):
                continue
            response = await http.request(method, path, **given[where])
            assert 401 == response.status_code, f"{method} {path}"
            assert secret not in response.text
        if where != "a bearer token":
            assert 401 == (await http.post(openai, headers={"x-api-key": secret})).status_code


def test_streams_have_them_and_are_not_held_back(live: Live) -> None:
    """The first event is there while the request still runs."""
    with live.http() as http:
        url = http.post(SUBMIT, json=EDIT).json()["status_url"].replace("/status", "/events")
        for path in (url, ENDLESS):
            with http.stream("GET", path) as response:
                assert next(response.iter_bytes()).startswith(b"id: 0" if path == ENDLESS else b"retry:")
                assert USUAL == told(response)
        live.worker.complete()


def test_a_blocking_edit_has_them(live: Live) -> None:
    """v1's bytes are the caller's alone, and no cache's."""
    with live.http() as http, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(http.post, RUN, json=EDIT)
        live.worker.complete()
        response = answer.result()
    assert (200, "image/png", USUAL) == (response.status_code, response.headers["content-type"], told(response))


async def test_what_a_route_says_itself_stays() -> None:
    """Each header once: the route's, if it has one."""
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    wrapped = with_usual_headers(send)
    own = [(b"cache-control", b"private"), (b"content-type", b"image/png")]
    await wrapped({"type": "http.response.start", "status": 200, "headers": own})
    await wrapped({"type": "http.response.body", "body": b"x", "more_body": True})
    headers = sent[0]["headers"]
    assert own == headers[:2]
    assert [name.decode() for name, _ in headers[2:]] == list(USUAL)[1:]
    assert {"type": "http.response.body", "body": b"x", "more_body": True} == sent[1]
