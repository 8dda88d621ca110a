"""The pages' cookie: whoever sits at the machine needs no key, and nobody else gains anything by it."""

import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from openkontext.gateway import Services
from openkontext.media.signing import SecretFile
from openkontext.settings import Settings
from openkontext.store import Store
from tests.gateway.harness import Gateway, assert_error, connect
from tests.service import environment, eventually

BASE = "http://127.0.0.1:8000"
NAME = "openkontext-8000"
PAGE = {"x-openkontext-page": "1"}
# As a browser sends it from a script of the page.
SENT = PAGE | {"sec-fetch-site": "same-origin", "origin": BASE}
CREDITS = "/v1/get-user-credits"
HALF_DAY = 12 * 3600


@dataclass
class Local:
    """A gateway on loopback, with the key of its machine in a file, and the cookie that a page was loaded with."""

    gateway: Gateway
    key_id: int
    cookie: str

    @property
    def settings(self) -> Settings:
        return self.gateway.services.settings

    def change(self, **settings: Any) -> None:
        self.gateway.services.settings = self.settings.model_copy(update=settings)

    async def ask(
        self, headers: Any = SENT, *, cookie: str | bytes | None = None, app: Any = None, **client: Any
    ) -> httpx.Response:
        """What a script of the page gets, or one that differs from it in this."""
        sent = dict(headers) | {"cookie": cookie or f"{NAME}={self.cookie}"}
        async with connect(app or self.gateway.app, **({"base": BASE} | client)) as http:
            return await http.get(CREDITS, headers=sent)

    async def load(self, base: str = BASE, **headers: str) -> httpx.Response:
        """A page, as a browser loads it."""
        async with connect(self.gateway.app, base=base) as http:
            return await http.get("/account", headers=headers)


@pytest.fixture
async def local(start: Callable[..., Awaitable[Gateway]], open_services: Callable[..., Services]) -> Local:
    services = open_services()
    services.on_loopback = True
    gateway = await start(services)
    account = gateway.new_account("local", 3_000_000)
    key, secret = services.store.create_key(account.id, rpm=None, may_operate=True)
    (services.settings.data / "api-key").write_text(f"{secret}\n")
    made = Local(gateway, key.id, "")
    made.cookie = (await made.load()).cookies[NAME]
    return made


async def test_the_way_of_a_browser(local: Local) -> None:
    """A page gives the cookie, and with it the page's scripts are the local account."""
    page = await local.load()
    name, *attributes = page.headers["set-cookie"].split("; ")
    assert (f"{NAME}={page.cookies[NAME]}", {"HttpOnly", "Path=/", "SameSite=Strict"}) == (name, set(attributes))
    assert " data-session" in page.text
    assert page.cookies[NAME] not in page.text
    answer = await local.ask(cookie=name)
    assert (200, 3.0) == (answer.status_code, answer.json()["credits"])


async def test_literal_loopback_addresses(local: Local) -> None:
    """Each has a cookie of its port, which is good there."""
    for host in ("127.0.0.1:8000", "127.8.9.10:8000", "[::1]:8000", "127.0.0.1", "[::1]:80"):
        [(name, value)] = (await local.load(f"http://{host}")).cookies.items()
        assert f"openkontext-{8000 if '8000' in host else 80}" == name
        asked = await local.ask(PAGE, cookie=f"{name}={value}", base=f"http://{host}")
        assert (host, 200) == (host, asked.status_code)


HOSTS = (
    "localhost:8000",
    "evil.test:8000",
    "127.0.0.1.evil.test:8000",
    "127.0.0.1.:8000",
    "127.0.0.1@evil.test:8000",
    "evil.test@127.0.0.1:8000",
    "127.1:8000",
    "2130706433:8000",
    "0.0.0.0:8000",
    "128.0.0.1:8000",
    "192.168.1.5:8000",
    "[::]:8000",
    "[::ffff:127.0.0.1]:8000",
    "::1:8000",
    "127.0.0.1:8000, 127.0.0.1:8000",
    " 127.0.0.1:8000 x",
    "",
)


async def test_other_hosts(local: Local) -> None:
    """A name may have been made to lead here; it gets no cookie, and none is taken from it."""
    asked = {host: await local.ask(PAGE | {"host": host}) for host in HOSTS}
    assert dict.fromkeys(HOSTS, 401) == {host: answer.status_code for host, answer in asked.items()}
    pages = {host: await local.load(host=host) for host in HOSTS}
    assert dict.fromkeys(HOSTS, 200) == {host: page.status_code for host, page in pages.items()}
    assert [] == [host for host, page in pages.items() if "set-cookie" in page.headers or " data-session" in page.text]


async def test_two_hosts(local: Local) -> None:
    """The server refuses them before (400); if it didn't, neither would be believed."""
    headers = [("host", "127.0.0.1:8000"), ("host", "127.0.0.1:8000"), *PAGE.items()]
    async with connect(local.gateway.app, base=BASE) as http:
        response = await http.get(CREDITS, headers=[*headers, ("cookie", f"{NAME}={local.cookie}")])
    assert_error(response, 401, "missing_key")


ELSEWHERE: dict[str, Any] = {
    "the setting is off": {"local_session": False},
    "the service has an address for others": {"public_url": BASE},
    "a proxy is known of": {"trusted_proxies": frozenset({"127.0.0.1"})},
}


@pytest.mark.parametrize("why", [*ELSEWHERE, "the socket is open to others"])
async def test_a_service_for_others(local: Local, why: str) -> None:
    """No cookie is given, nor is one believed that was given before."""
    local.change(**ELSEWHERE.get(why, {}))
    local.gateway.services.on_loopback = why in ELSEWHERE
    assert_error(await local.ask(), 401, "missing_key")
    assert "set-cookie" not in (await local.load()).headers
    assert 'data-loopback=""' in (await local.load(host="localhost:8000")).text


FORWARDED = {
    "forwarded": "for=192.0.2.1",
    "x-forwarded-for": "192.0.2.1",
    "x-forwarded-host": "127.0.0.1:8000",
    "x-forwarded-anything": "",
    "x-real-ip": "127.0.0.1",
    "via": "1.1 proxy",
}


async def test_what_a_proxy_passes_on(local: Local) -> None:
    """Whoever asks, it may be anybody."""
    asked = {name: (await local.ask(SENT | {name.title(): value})).status_code for name, value in FORWARDED.items()}
    assert dict.fromkeys(FORWARDED, 401) == asked
    pages = {name: await local.load(**{name: value}) for name, value in FORWARDED.items()}
    assert [] == [name for name, page in pages.items() if "set-cookie" in page.headers]


async def test_what_a_silent_proxy_passes_on(local: Local) -> None:
    """nginx says nothing of itself, but speaks HTTP/1.0."""

    async def old(scope: Scope, receive: Receive, send: Send) -> None:
        await local.gateway.app({**scope, "http_version": "1.0"}, receive, send)

    assert_error(await local.ask(app=old), 401, "missing_key")


async def test_other_machines(local: Local) -> None:
    """Also where the kernel lets them reach loopback."""
    for address in ("192.168.1.9", "2001:db8::1", "1270.0.0.1"):
        assert_error(await local.ask(address=address), 401, "missing_key")
    assert [200, 200] == [(await local.ask(address=own)).status_code for own in ("127.0.0.2", "::1")]


NOT_THE_PAGE: dict[str, Any] = {
    "no header": {},
    "another value": PAGE | {"x-openkontext-page": "true"},
    "another site": PAGE | {"sec-fetch-site": "cross-site"},
    "another port": PAGE | {"sec-fetch-site": "same-site"},
    "nobody": PAGE | {"sec-fetch-site": "none"},
    "another port's origin": PAGE | {"origin": "http://127.0.0.1:9000"},
    "another name's origin": PAGE | {"origin": "http://localhost:8000"},
    "another scheme's origin": PAGE | {"origin": "https://127.0.0.1:8000"},
    "no origin to speak of": PAGE | {"origin": "null"},
}


async def test_who_is_not_the_page(local: Local) -> None:
    """The cookie goes with every request of the browser to this machine; only the page's own are believed."""
    asked = {who: (await local.ask(headers)).status_code for who, headers in NOT_THE_PAGE.items()}
    assert dict.fromkeys(NOT_THE_PAGE, 401) == asked


async def test_no_browser_lets_others_send_the_header(local: Local) -> None:
    """A script of another port must ask before, and gets no answer that allows it."""
    asked = {"origin": "http://127.0.0.1:9000", "access-control-request-headers": "x-openkontext-page"}
    async with connect(local.gateway.app, base=BASE) as http:
        for path in (CREDITS, "/v2/flux-kontext-dev", "/account"):
            response = await http.options(path, headers=asked | {"access-control-request-method": "POST"})
            assert (405, []) == (response.status_code, [name for name in response.headers if "allow-" in name])


def altered(cookie: str, *, key: int = 0, later: int = 0, mac: str = "") -> str:
    """The cookie, changed without the secret."""
    key_id, expires, seal = cookie.split(".")
    return f"{int(key_id) + key}.{int(expires) + later}.{mac or seal}"


FORGED: dict[str, Callable[[str], str]] = {
    "nothing": lambda _: "",
    "no cookie": lambda _: "hello",
    "another key": lambda cookie: altered(cookie, key=-1),
    "longer": lambda cookie: altered(cookie, later=1),
    "another seal": lambda cookie: altered(cookie, mac="0" * 64),
    "in capitals": str.upper,
    "more": lambda cookie: f"{cookie}0",
    "other digits": lambda cookie: "\u0661" + cookie[1:],
}


async def test_a_forged_cookie(local: Local) -> None:
    """Nothing of it can be changed."""
    forged = {how: f"{NAME}={forge(local.cookie)}".encode() for how, forge in FORGED.items()}
    asked = {how: (await local.ask(cookie=cookie)).status_code for how, cookie in forged.items()}
    assert dict.fromkeys(FORGED, 401) == asked


async def test_a_files_signature_is_no_cookie(local: Local) -> None:
    """Nor the other way round, though one secret makes both."""
    signer, said = local.gateway.services.signer, local.cookie.rpartition(".")[0]
    as_file = signer.sign(said.replace(".", "/"), 2_000_000_000).partition("signature=")[2]
    assert_error(await local.ask(cookie=f"{NAME}={said}.{as_file}"), 401, "missing_key")
    key_id, expires, seal = local.cookie.split(".")
    assert [False, False] == [signer.verify(each, expires, seal, 0) for each in (key_id, said)]
    other = signer.seal("another purpose", said)
    assert_error(await local.ask(cookie=f"{NAME}={said}.{other}"), 401, "missing_key")


async def test_another_ports_cookie(local: Local) -> None:
    """A browser sends those of every port; the right one counts, wherever it stands."""
    assert_error(await local.ask(cookie=f"openkontext-9000={local.cookie}"), 401, "missing_key")
    both = f"openkontext-9000=x; {NAME}={local.cookie}; a=b"
    assert 200 == (await local.ask(cookie=both)).status_code


async def test_it_ends(local: Local) -> None:
    """After twelve hours, if no page was loaded meanwhile."""
    local.gateway.clock.advance(HALF_DAY - 1)
    renewed = (await local.load()).cookies[NAME]
    assert [200, 200] == [(await local.ask(cookie=f"{NAME}={each}")).status_code for each in (local.cookie, renewed)]
    local.gateway.clock.advance(1)
    assert_error(await local.ask(), 401, "missing_key")
    assert 200 == (await local.ask(cookie=f"{NAME}={renewed}")).status_code


async def test_the_secret_is_replaced(local: Local) -> None:
    """A cookie of the old one ends at once, though the addresses of files don't; the next page gives another."""
    secrets = SecretFile(local.settings.data / "secret")
    now = local.gateway.clock.now
    secrets.rotate(now, lambda: now + 60)
    assert_error(await local.ask(), 401, "missing_key")
    assert 200 == (await local.ask(cookie=f"{NAME}={(await local.load()).cookies[NAME]}")).status_code


async def test_a_key_that_is_good_no_more(local: Local) -> None:
    """Revoked, it ends at once, and no page gives another cookie."""
    local.gateway.services.store.revoke_key(local.key_id)
    assert_error(await local.ask(), 401, "missing_key")
    assert "set-cookie" not in (await local.load()).headers


async def test_a_key_that_expires(local: Local) -> None:
    """The cookie is not good for longer than its key."""
    store, clock = local.gateway.services.store, local.gateway.clock
    _, secret = store.create_key(local.gateway.account.id, expires_at=clock() + 60)
    (local.settings.data / "api-key").write_text(secret)
    cookie = (await local.load()).cookies[NAME]
    assert 200 == (await local.ask(cookie=f"{NAME}={cookie}")).status_code
    clock.advance(60)
    assert_error(await local.ask(cookie=f"{NAME}={cookie}"), 401, "missing_key")


async def test_no_key_in_the_file(local: Local) -> None:
    """The page is there, and asks for a key."""
    path = local.settings.data / "api-key"
    for content in (b"", b"SG_0", b"\xff\xfe", None):
        path.unlink() if content is None else path.write_bytes(content)
        page = await local.load()
        assert (200, False, False) == (page.status_code, "set-cookie" in page.headers, " data-session" in page.text)


async def test_a_key_in_the_header_counts_alone(local: Local) -> None:
    """With one that is wrong or empty the cookie is not looked at."""
    assert_error(await local.ask(SENT | {"x-api-key": "SG_0"}), 401, "invalid_key")
    assert_error(await local.ask(SENT | {"x-api-key": ""}), 401, "missing_key")
    someone = await local.ask(SENT | {"x-api-key": local.gateway.secret})
    assert (200, 10.0) == (someone.status_code, someone.json()["credits"])


async def test_no_operators_rights(local: Local) -> None:
    """Not even where the file's key has them."""
    secret = (local.settings.data / "api-key").read_text().strip()
    async with connect(local.gateway.app, base=BASE) as http:
        cookie = {"cookie": f"{NAME}={local.cookie}"}
        assert_error(await http.get("/v2/operator", headers=SENT | cookie), 403, "forbidden")
        assert 200 == (await http.get("/v2/operator", headers={"x-api-key": secret})).status_code


async def test_the_route_of_bearer_tokens_takes_none(local: Local) -> None:
    """It is for clients of OpenAI's shape alone."""
    async with connect(local.gateway.app, base=BASE) as http:
        response = await http.post("/v1/images/edits", headers=SENT | {"cookie": f"{NAME}={local.cookie}"})
    assert 401 == response.status_code


async def test_localhost_is_told_of_the_address(local: Local) -> None:
    """`localhost` is a name, which could lead elsewhere; the page offers the address instead."""
    for host, port in {"localhost:8000": ":8000", "LocalHost:8000": ":8000", "localhost": ""}.items():
        page = await local.load(f"http://127.0.0.1{port}", host=host)
        assert f'data-loopback="http://127.0.0.1{port}/account"' in page.text
    page = await local.load("http://[::1]:8000", host="localhost:8000")
    assert 'data-loopback="http://[::1]:8000/account"' in page.text
    for other in ("evil.test:8000", "127.0.0.1:8000", "localhost.:8000", "localhost:8000/x", "a@localhost"):
        assert 'data-loopback=""' in (await local.load(host=other)).text


async def test_localhost_through_a_proxy(local: Local) -> None:
    """The address would not be the client's."""
    page = await local.load(host="localhost:8000", via="1.1 proxy")
    assert 'data-loopback=""' in page.text


@asynccontextmanager
async def gateway_at(host: str, data: Path) -> AsyncIterator[int]:
    """`openkontext gateway` as a process of its own; its port."""
    listening = subprocess.Popen(
        [sys.executable, "-c", LISTEN, host], env=environment(data, "nano"), stdout=subprocess.PIPE, text=True
    )
    try:
        assert listening.stdout
        port = int(listening.stdout.readline())
        eventually(lambda: _answers(port))
        yield port
    finally:
        listening.terminate()
        listening.wait(60)
        assert listening.stdout
        listening.stdout.close()


LISTEN = """
import socket, sys
from openkontext.__main__ import main
with socket.create_server((sys.argv[1], 0)) as listener:
    listener.set_inheritable(True)
    print(listener.getsockname()[1], flush=True)
    sys.argv[1:] = ["gateway", "--fd", str(listener.fileno())]
    main()
"""


def _answers(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=60).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.parametrize(("host", "given"), [("127.0.0.1", True), ("0.0.0.0", False)])
async def test_what_the_socket_is_bound_to(tmp_path: Path, host: str, given: bool) -> None:
    """The process looks at the socket itself: who asks 127.0.0.1 of one that is open to all gets no cookie."""
    data = tmp_path / "data"
    data.mkdir()
    store = Store.open(data / "openkontext.db")
    store.migrate()
    _, secret = store.create_key(store.create_account("local").id)
    store.close()
    (data / "api-key").write_text(secret)
    async with gateway_at(host, data) as port:
        page = httpx.get(f"http://127.0.0.1:{port}/", timeout=60)
        answer = httpx.get(f"http://127.0.0.1:{port}{CREDITS}", headers=PAGE, cookies=page.cookies, timeout=60)
    assert (200, given, 200 if given else 401) == (page.status_code, "set-cookie" in page.headers, answer.status_code)
