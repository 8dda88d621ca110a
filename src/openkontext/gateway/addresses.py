"""Absolute URLs as the client reaches them."""

import re
from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from .services import services_of

FILES = "/files/"

_SCHEMES = ("http", "https")
# Names, IPv4 and bracketed IPv6, with a port or without: nothing that could end the host, or be read as something else.
_HOST = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?\.?|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")


def base_url(request: Request) -> str:
    """Scheme and host without a trailing slash: the configured one, a trusted proxy's, or the one asked for.

    What is no host is not repeated: then it is the address that the connection came in at.
    """
    settings = services_of(request).settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    forwarded = request.client is not None and request.client.host in settings.trusted_proxies
    told = request.headers if forwarded else {}
    scheme, host = _first(told.get("x-forwarded-proto")).lower(), _first(told.get("x-forwarded-host"))
    scheme = scheme if scheme in _SCHEMES else request.url.scheme
    hosts = (host, request.url.netloc, _server(request))
    return f"{scheme}://{next(filter(_HOST.fullmatch, hosts), 'localhost')}"


def own_file(request: Request, url: str) -> str | None:
    """The blob key of a URL this server gave out, or None for any other.

    The signature tells, not the host: the server may be reached by several names.
    """
    services, parts = services_of(request), urlsplit(url)
    prefix = urlsplit(services.settings.public_url).path.rstrip("/") + FILES
    if not parts.path.startswith(prefix):
        return None
    query = parse_qs(parts.query)
    key = parts.path.removeprefix(prefix)
    # Of several the last, as the file's own route takes it.
    expires, signature = (query.get(name, [""])[-1] for name in ("expires", "signature"))
    return key if services.signer.verify(key, expires, signature, services.store.clock()) else None


def is_own(request: Request, url: str) -> bool:
    """Whether a URL is under this server's own address."""
    return url.startswith(base_url(request) + FILES)


def _server(request: Request) -> str:
    """The address at which the connection was accepted."""
    host, port = request.scope.get("server") or ("", None)
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _first(header: str | None) -> str:
    return (header or "").partition(",")[0].strip()
