"""Which server is spoken to, and with which key."""

import os
import re
from dataclasses import dataclass, field
from typing import Self

import httpx

from .errors import AuthenticationError

DEFAULT_BASE_URL = "http://127.0.0.1:8000"
HOSTED_DOMAIN = "segmind.com"
KEY_VARIABLES = ("OPENKONTEXT_API_KEY", "SEGMIND_API_KEY")
_VERSION = re.compile(r"/v[12]$")
_VISIBLE_ASCII = re.compile(r"[!-~]+")


@dataclass(frozen=True)
class Target:
    """A server's address without version or trailing slash, and the key for it."""

    root: str
    api_key: str | None = field(repr=False)

    @classmethod
    def of(cls, api_key: str | None, base_url: str | None) -> Self:
        """From the arguments, else from the environment.

        Raises:
            ValueError: the address is not an http(s) one.
        """
        address = (base_url or os.environ.get("OPENKONTEXT_BASE_URL") or DEFAULT_BASE_URL).strip()
        if not _names_a_server(address):
            raise ValueError(f"the base URL must start with http:// or https://, and name a host; got {address!r}")
        # Keys come from files with a last newline as often as not, and no header may carry that.
        keys = [key.strip() for key in (api_key, *map(os.environ.get, KEY_VARIABLES)) if key]
        return cls(_VERSION.sub("", address.rstrip("/")), next(filter(None, keys), None))

    @property
    def hosted(self) -> bool:
        """Whether it is the hosted service, which knows neither Idempotency-Key nor, at this address, uploads."""
        host = httpx.URL(self.root).host
        return host == HOSTED_DOMAIN or host.endswith(f".{HOSTED_DOMAIN}")

    def headers(self) -> dict[str, str]:
        """What identifies the caller.

        Raises:
            AuthenticationError: there is no key, or none that a header can carry.
        """
        if self.api_key is None:
            raise AuthenticationError(
                401, f"no API key: pass api_key=… or set {KEY_VARIABLES[0]} to your server's key", code="missing_key"
            )
        if not _VISIBLE_ASCII.fullmatch(self.api_key):
            # Here, since the error of who finds it later shows the key.
            text = "the API key has characters that no key has, a space or a line break, say: is it more than the key?"
            raise AuthenticationError(401, text, code="invalid_key")
        return {"x-api-key": self.api_key}

    def own(self, url: str) -> httpx.URL:
        """The address at this server that a URL of its answers means.

        Only this server may see the key. One that names another origin sits behind a proxy that hasn't told it its
        public address (or is being tricked), and there the same path under our own address is the one that works.
        """
        root, named = httpx.URL(self.root), httpx.URL(url)
        return named.copy_with(scheme=root.scheme, host=root.host, port=root.port)


def _names_a_server(address: str) -> bool:
    try:
        url = httpx.URL(address)
    except httpx.InvalidURL:
        return False
    return url.scheme in ("http", "https") and bool(url.host)
