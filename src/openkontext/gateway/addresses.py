"""Absolute URLs as the client reaches them."""

from urllib.parse import parse_qs, urlsplit

from fastapi import Request

from .services import services_of

FILES = "/files/"


def base_url(request: Request) -> str:
    """Scheme and host without a trailing slash: the configured one, a trusted proxy's, or the one asked for."""
    settings = services_of(request).settings
    if settings.public_url:
        return settings.public_url.rstrip("/")
    scheme, host = request.url.scheme, request.url.netloc
    if request.client and request.client.host in settings.trusted_proxies:
        scheme = _first(request.headers.get("x-forwarded-proto")) or scheme
        host = _first(request.headers.get("x-forwarded-host")) or host
    return f"{scheme}://{host}"


def own_file(request: Request, url: str) -> str | None:
    """The blob key of a URL this server gave out, or None for any other.

    The signature tells, not the host: the server may be reached by several names.
    """
    parts = urlsplit(url)
    prefix = urlsplit(base_url(request)).path + FILES
    if not parts.path.startswith(prefix):
        return None
    query = parse_qs(parts.query)
    key = parts.path.removeprefix(prefix)
    expires, signature = query.get("expires", ["0"])[0], query.get("signature", [""])[0]
    services = services_of(request)
    return key if services.signer.verify(key, expires, signature, services.store.clock()) else None


def is_own(request: Request, url: str) -> bool:
    """Whether a URL is under this server's own address."""
    return url.startswith(base_url(request) + FILES)


def _first(header: str | None) -> str:
    return (header or "").partition(",")[0].strip()
