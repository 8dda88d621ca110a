"""The pages, and the files that they load: all from this server, and nothing that runs but those files."""

from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any
from urllib.parse import urlsplit

from anyio import to_thread
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import Response

from openkontext import __version__, web
from openkontext.contract import CODES, EXAMPLE_PROMPT, PARAMETERS, SLUG, Problem, State, money
from openkontext.settings import Settings
from openkontext.store.records import Latency

from .addresses import base_url
from .models import latency
from .services import services_of
from .session import begin, loopback_url

router = APIRouter(include_in_schema=False)

PATHS = {"/": "playground", f"/models/{SLUG}": "model", "/account": "account", "/operator": "operator", "/docs": "docs"}

_POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "connect-src": "'self'",
    "form-action": "'none'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}
# What a page could ask a browser for, and ours never do.
_UNUSED = (
    "accelerometer",
    "camera",
    "display-capture",
    "encrypted-media",
    "geolocation",
    "gyroscope",
    "magnetometer",
    "microphone",
    "midi",
    "payment",
    "picture-in-picture",
    "publickey-credentials-get",
    "screen-wake-lock",
    "usb",
    "xr-spatial-tracking",
)
_HEADERS = {
    "content-security-policy": "; ".join(f"{name} {value}" for name, value in _POLICY.items()),
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": ", ".join(f"{name}=()" for name in _UNUSED),
}
_FOREVER = "public, max-age=31536000, immutable"


@dataclass(frozen=True)
class _View:
    """All that a page's HTML depends on."""

    page: str
    app: FastAPI
    settings: Settings
    base_url: str
    session: bool
    loopback_url: str
    latency: tuple[Latency, ...]


async def page(request: Request) -> Response:
    """One of the pages; on the server's own machine, with the cookie that needs no key."""
    services, name, cookie = services_of(request), PATHS[request.url.path], await begin(request)
    measured = tuple(await latency(services)) if name == "model" else ()
    address = base_url(request), cookie is not None, loopback_url(request)
    view = _View(name, request.app, services.settings, *address, measured)
    html = await to_thread.run_sync(_html, view, limiter=services.rendering)
    return _answer(request, html, _HEADERS | ({"set-cookie": cookie} if cookie else {}))


for _path in PATHS:
    router.add_api_route(_path, page, methods=["GET", "HEAD"])


@router.api_route("/static/{version}/{path:path}", methods=["GET", "HEAD"])
async def static(request: Request, version: str, path: str) -> Response:
    """A file of the pages; at another version's address the same, for a page that was loaded before an update."""
    return _file(request, path, _FOREVER if version == web.VERSION else "no-cache")


@router.api_route("/favicon.ico", methods=["GET", "HEAD"])
async def icon(request: Request) -> Response:
    """The icon, for what isn't one of our pages."""
    return _file(request, "icon.svg", "public, max-age=86400")


def _file(request: Request, path: str, kept: str) -> Response:
    file = web.asset(path)
    if file is None:
        raise Problem("not_found", f"Nothing is at {request.url.path}")
    return _answer(request, file, {"cache-control": kept})


def _answer(request: Request, asset: web.Asset, headers: dict[str, str]) -> Response:
    headers = headers | {"content-type": asset.content_type}
    if asset.gzipped is None:
        return Response(asset.content, headers=headers)
    headers["vary"] = "Accept-Encoding"
    if not _takes_gzip(request.headers.get("accept-encoding", "")):
        return Response(asset.content, headers=headers)
    return Response(asset.gzipped, headers=headers | {"content-encoding": "gzip"})


def _takes_gzip(accepted: str) -> bool:
    codings = (coding.replace(" ", "").lower().partition(";q=") for coding in accepted.split(","))
    return any(name == "gzip" and (not given or quality.strip("0.") != "") for name, given, quality in codings)


# Anybody may ask, and the reference takes a tenth of a second to make.
@lru_cache(maxsize=32)
def _html(view: _View) -> web.Asset:
    html = web.render(view.page, **_context(view))
    return web.Asset(html.encode(), "text/html; charset=utf-8")


def _context(view: _View) -> dict[str, Any]:
    """What every page may use, and what one alone needs; with ``page`` it is all that there is."""
    root = urlsplit(view.settings.public_url).path.rstrip("/")
    context: dict[str, Any] = {
        "root": root,
        "assets": f"{root}/static/{web.VERSION}",
        "slug": SLUG,
        "parameters": PARAMETERS,
        "states": list(State),
        "codes": CODES,
        "price": money.wire(money.to_micros(view.settings.price)),
        "example_prompt": EXAMPLE_PROMPT,
        "base_url": view.base_url,
        "session": view.session,
        "loopback_url": view.loopback_url,
        "max_image_mb": view.settings.max_image_mb,
        "max_image_megapixels": view.settings.max_image_megapixels,
        "version": __version__,
        "samples": web.SAMPLES,
    }
    if view.page == "docs":
        context["document"] = view.app.openapi()
    if view.page == "model":
        context["latency"] = [asdict(each) for each in view.latency]
    return context
