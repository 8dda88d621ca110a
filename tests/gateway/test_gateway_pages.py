"""The pages and their files: what is served, to whom it is compressed, how long it is kept, and nothing else."""

import gzip
import re
from typing import Any

import httpx
import pytest

from openkontext import web
from openkontext.contract import CODES, EXAMPLE_PROMPT, PARAMETERS, State
from openkontext.gateway import pages
from tests.gateway.harness import Gateway, Live, assert_error, connect
from tests.gateway.test_gateway_headers import USUAL

PATHS = ("/", "/models/flux-kontext-dev", "/account", "/operator", "/docs")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; "
    "trusted-types 'none'"
)
STYLE = f"/static/{web.VERSION}/css/base.css"
PICTURE = f"/static/{web.VERSION}/samples/tiger.webp"


@pytest.mark.parametrize("path", PATHS)
async def test_a_page(gateway: Gateway, path: str) -> None:
    """It is HTML for anybody, which is not kept, runs nothing but our own files, and may not be framed."""
    async with connect(gateway.app) as anybody:
        response = await anybody.get(path)
    expected = USUAL | {"content-security-policy": POLICY, "cross-origin-opener-policy": "same-origin"}
    assert (200, "text/html; charset=utf-8") == (response.status_code, response.headers["content-type"])
    assert expected == {name: response.headers.get(name) for name in expected}
    assert {"camera=()", "geolocation=()", "microphone=()"} <= set(response.headers["permissions-policy"].split(", "))
    assert response.text.startswith("<!doctype html>")


def test_by_head(live: Live) -> None:
    """HEAD answers as GET does, without the page."""
    with live.http() as http:
        for path in (*PATHS, STYLE, "/favicon.ico"):
            answers = [http.request(method, path) for method in ("GET", "HEAD")]
            alike = [dict(each.headers) | {"date": ""} for each in answers]
            assert (200, alike[0], b"") == (answers[1].status_code, alike[1], answers[1].content)


@pytest.mark.parametrize("path", [*PATHS, STYLE, "/favicon.ico"])
async def test_other_methods(gateway: Gateway, path: str) -> None:
    """They are told what there is."""
    for method in ("POST", "PUT", "PATCH", "DELETE", "OPTIONS"):
        response = await gateway.http.request(method, path)
        assert_error(response, 405, "method_not_allowed")
        assert "GET, HEAD" == response.headers["allow"]


async def test_what_is_no_page(gateway: Gateway) -> None:
    """It answers as any unknown path does, in JSON."""
    for path in ("/models/x", "/models", "/models/", "/account/", "/index.html", "/redoc", "/static", "/static/x"):
        assert_error(await gateway.http.get(path), 404, "not_found")


async def test_pages_are_no_part_of_the_api(gateway: Gateway) -> None:
    """Its document doesn't speak of them."""
    documented = gateway.app.openapi()["paths"]
    assert [] == [path for path in documented if path in PATHS or path.startswith("/static")]


async def test_files_are_kept_for_as_long_as_they_are_the_same(gateway: Gateway) -> None:
    """At the address of this version forever; at another's the file is there, to be asked for again."""
    async with connect(gateway.app) as anybody:
        for path, kind in ((STYLE, "text/css; charset=utf-8"), (PICTURE, "image/webp")):
            current, old = [await anybody.get(path.replace(web.VERSION, each)) for each in (web.VERSION, "0")]
            assert "public, max-age=31536000, immutable" == current.headers["cache-control"]
            assert "no-cache" == old.headers["cache-control"]
            assert (kind, "nosniff") == (current.headers["content-type"], current.headers["x-content-type-options"])
            assert (200, current.content) == (old.status_code, old.content)
        script = await anybody.get(f"/static/{web.VERSION}/js/dom.js")
        assert "text/javascript; charset=utf-8" == script.headers["content-type"]


async def test_the_icon(gateway: Gateway) -> None:
    """For whoever looks where icons have always been."""
    response = await gateway.http.get("/favicon.ico")
    assert (200, "image/svg+xml; charset=utf-8") == (response.status_code, response.headers["content-type"])
    assert "public, max-age=86400" == response.headers["cache-control"]


GZIP = {
    "gzip": True,
    "br, gzip, deflate": True,
    "GZIP;q=0.5": True,
    "br;q=1.0, gzip; q=0.8": True,
    "": False,
    "identity": False,
    "gzip;q=0": False,
    "gzip; q=0.000": False,
    "xgzip": False,
}


@pytest.mark.parametrize("accepted", GZIP)
async def test_texts_are_compressed_for_whoever_takes_it(gateway: Gateway, accepted: str) -> None:
    """Pages and files alike; pictures are small already."""
    headers = {"accept-encoding": accepted}
    for path in ("/", STYLE):
        response = await gateway.http.get(path, headers=headers)
        plain = await gateway.http.get(path, headers={"accept-encoding": "identity"})
        assert GZIP[accepted] == (response.headers.get("content-encoding") == "gzip")
        assert "Accept-Encoding" == response.headers["vary"] == plain.headers["vary"]
        assert plain.content == response.content
        assert GZIP[accepted] == (int(response.headers["content-length"]) < len(plain.content) / 2)
    picture = await gateway.http.get(PICTURE, headers=headers)
    assert [] == [name for name in picture.headers if name in ("content-encoding", "vary")]


def test_the_same_is_compressed_to_the_same() -> None:
    """Once, and whenever it is done again."""
    file = web.asset("css/base.css")
    assert file
    assert file.gzipped
    assert gzip.decompress(file.gzipped) == file.content
    assert file.gzipped is file.gzipped
    assert web.Asset(file.content, file.content_type).gzipped == file.gzipped


OUTSIDE = (
    "../templates/base.html",
    "css/../../templates/base.html",
    "css/../css/base.css",
    "..%2ftemplates%2fbase.html",
    "%2e%2e/templates/base.html",
    "css/%2e%2e/css/base.css",
    "..\\templates\\base.html",
    "/etc/passwd",
    "//etc/passwd",
    "css%00/base.css",
    "css/base.css%00.js",
    "css/base.css/",
    "CSS/base.css",
    "css",
    "",
    ".",
    "samples/README.md",
)


def test_nothing_but_the_files(live: Live) -> None:
    """Paths are names of files that were there at the start, taken as they come."""
    assert (web.files.FOLDER / "samples" / "README.md").exists()
    for path in OUTSIDE:
        with live.connect() as connection:
            head = f"GET /static/{web.VERSION}/{path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
            connection.sendall(head.encode())
            answer = b"".join(iter(lambda connection=connection: connection.recv(65536), b""))  # type: ignore[misc]
        assert (path, b"HTTP/1.1 404 ") == (path, answer[:13])
        assert b'"code":"not_found"' in answer


@pytest.fixture
def contexts(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """What each page is told, by its name."""
    told: dict[str, dict[str, Any]] = {}

    def render(page: str, **context: Any) -> str:
        told[page] = context
        return ""

    monkeypatch.setattr(pages.web, "render", render)
    return told


async def test_what_pages_are_told(gateway: Gateway, contexts: dict[str, dict[str, Any]]) -> None:
    """All of it is from the contract and the settings; the reference has the document, the model its times."""
    gateway.services.store.note_timing("nano", 512, 512, step_seconds=0.2, other_seconds=0.5)
    async with connect(gateway.app, base="http://here.test:81") as http:
        for path in PATHS:
            await http.get(path)
    assert set(web.PAGES) == set(contexts)
    assert contexts.pop("docs").pop("document") == gateway.app.openapi()
    latency = {"checkpoint": "nano", "width": 512, "height": 512, "samples": 1, "step_seconds": 0.2}
    assert [latency | {"other_seconds": 0.5}] == contexts["model"].pop("latency")
    expected = {"root": "", "assets": f"/static/{web.VERSION}", "slug": "flux-kontext-dev", "price": 0.04}
    expected |= {"parameters": PARAMETERS, "states": list(State), "codes": CODES, "example_prompt": EXAMPLE_PROMPT}
    expected |= {"base_url": "http://here.test:81", "session": False, "loopback_url": "", "samples": web.SAMPLES}
    expected |= {"max_image_mb": 20.0, "max_image_megapixels": 50.0, "version": gateway.app.version}
    assert [expected] * 4 == list(contexts.values())


async def test_under_another_root(gateway: Gateway, contexts: dict[str, dict[str, Any]]) -> None:
    """Where a proxy has the service under a path, every address of a page is under it."""
    settings = gateway.services.settings
    gateway.services.settings = settings.model_copy(update={"public_url": "https://kontext.test/studio/"})
    await gateway.http.get("/")
    told = {name: contexts["playground"][name] for name in ("root", "assets", "base_url")}
    assets = f"/studio/static/{web.VERSION}"
    assert {"root": "/studio", "assets": assets, "base_url": "https://kontext.test/studio"} == told


async def test_hostile_hosts_are_not_repeated(gateway: Gateway) -> None:
    """A page has no word of what is no host."""
    for host in ('"><script>', "a/b", "a b", "{{ 7*7 }}"):
        page = await gateway.http.get("/account", headers={"host": host})
        assert (200, False) == (page.status_code, host in page.text)


async def test_no_key_is_on_a_page(gateway: Gateway) -> None:
    """Whoever sends one."""
    async with connect(gateway.app) as anybody:
        for path in PATHS:
            sent: httpx.Response = await gateway.http.get(path)
            assert gateway.secret not in sent.text
            assert (await anybody.get(path)).text == sent.text
            assert re.search(r"SG_[0-9a-f]{8}", sent.text) is None
