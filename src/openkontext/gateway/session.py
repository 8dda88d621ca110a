"""Who uses the pages on the machine that the service runs on needs no key: a signed cookie stands for the local one.

It is believed where only this machine's users can be who asks, and where the page itself asks. Other sites, other ports
of this machine (to a browser the same *site*, and cookies don't tell ports apart), names that were made to lead here
(DNS rebinding) and what a proxy passes on are refused. All of it is checked again at every request.
"""

import re
from collections.abc import Sequence
from dataclasses import replace

from anyio import to_thread
from fastapi import Request

from openkontext.store import Key

from .services import Services, services_of

# Seconds; any page that is loaded begins them anew.
LIFETIME = 12 * 3600
# No other site can send it: a browser asks first (CORS), and is never allowed to.
PAGE_HEADER = "x-openkontext-page"

_PURPOSE = "session"
# Addresses as browsers write them. A name can't be one of these: none ends in a number.
_LITERAL = re.compile(r"(?:127(?:\.[0-9]{1,3}){3}|\[::1\])(?::([0-9]{1,5}))?")
_LOCALHOST = re.compile(r"localhost(:[0-9]{1,5})?", re.IGNORECASE)
_CLIENT = re.compile(r"127\..+|::1")
_VALUE = re.compile(r"([0-9]{1,18})\.([0-9]{1,12})\.([0-9a-f]{64})", re.ASCII)


async def begin(request: Request) -> str | None:
    """The cookie for a page that is loaded here, as the value of ``set-cookie``; None where there is none to have.

    Raises StoreUnavailable.
    """
    services, name = services_of(request), _cookie_name(request)
    if name is None or not _is_of_this_machine(request):
        return None
    key = await to_thread.run_sync(_local_key, services)
    if key is None:
        return None
    said = f"{key.id}.{int(services.store.clock()) + LIFETIME}"
    return f"{name}={said}.{services.signer.seal(_PURPOSE, said)}; HttpOnly; Path=/; SameSite=Strict"


async def session_key(request: Request) -> Key | None:
    """The key that the request's cookie stands for, without an operator's rights; None where it isn't believed.

    Raises StoreUnavailable.
    """
    services, name = services_of(request), _cookie_name(request)
    if name is None or not _is_of_this_machine(request) or not _is_asked_by_a_page(request):
        return None
    key_id = _sealed_key_id(services, request.cookies.get(name, ""))
    if key_id is None:
        return None
    key = await services.watcher.cached(("key", key_id), lambda: services.store.key(key_id))
    return replace(key, may_operate=False) if key and key.good_at(services.store.clock()) else None


def loopback_url(request: Request) -> str:
    """The page's address at which it needs no key, if it was asked for at ``localhost`` instead; else ""."""
    found = _LOCALHOST.fullmatch(_only(request, "host"))
    if not found or not _is_of_this_machine(request):
        return ""
    address = request.scope["server"][0]
    host = f"[{address}]" if ":" in address else address
    return f"{request.url.scheme}://{host}{found[1] or ''}{request.url.path}"


def _is_of_this_machine(request: Request) -> bool:
    """Whether the service is for this machine alone, and nothing shows that the request comes from elsewhere."""
    services = services_of(request)
    # Who names an address or a proxy has others in mind.
    for_others = services.settings.public_url or services.settings.trusted_proxies
    if not services.settings.local_session or not services.on_loopback or for_others:
        return False
    # Loopback is reached from outside where the kernel routes it (route_localnet, which some container networks set).
    if request.client is None or not _CLIENT.fullmatch(request.client.host):
        return False
    # nginx, unless told otherwise, passes on as HTTP/1.0 with our own address as Host. Browsers speak 1.1.
    return request.scope["http_version"] != "1.0" and not any(map(_is_forwarding, request.headers))


def _is_forwarding(header: str) -> bool:
    return header in ("forwarded", "via", "x-real-ip") or header.startswith("x-forwarded-")


def _is_asked_by_a_page(request: Request) -> bool:
    """Whether it is a script of our own pages that asks, as far as a browser tells."""
    own = f"{request.url.scheme}://{_only(request, 'host')}"
    told = request.headers.getlist
    return (
        told(PAGE_HEADER) == ["1"] and set(told("sec-fetch-site")) <= {"same-origin"} and set(told("origin")) <= {own}
    )


def _cookie_name(request: Request) -> str | None:
    """With the port, for those of other ports are sent here too; None if the host is no literal loopback address."""
    found = _LITERAL.fullmatch(_only(request, "host"))
    return f"openkontext-{found[1] or 80}" if found else None


def _only(request: Request, header: str) -> str:
    values: Sequence[str] = request.headers.getlist(header)
    return values[0] if len(values) == 1 else ""


def _sealed_key_id(services: Services, value: str) -> int | None:
    found, now = _VALUE.fullmatch(value), services.store.clock()
    if not found:
        return None
    key_id, expires, seal = found.groups()
    sealed = services.signer.is_sealed(_PURPOSE, f"{key_id}.{expires}", seal)
    return int(key_id) if sealed and now < int(expires) else None


def _local_key(services: Services) -> Key | None:
    try:
        secret = (services.settings.data / "api-key").read_text().strip()
    except (OSError, ValueError):
        return None
    return services.store.authenticate(secret)
