"""Addresses that clients give: taken apart strictly, in one place, so that what is checked is what is requested."""

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import quote, urljoin, urlsplit

from openkontext.contract import Problem

# Presigned URLs with a session token pass 2,000 characters; few servers take more than 8,000.
MAX_LENGTH = 4096
_UNREADABLE = "has a host or port that can't be read"
_DEFAULT_PORTS = {"http": 80, "https": 443}
# Programs disagree on what these do in a URL (strip, cut, turn into a slash), and attacks live on disagreement.
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\xa0\\\u2028\u2029\ufeff\ud800-\udfff]")
_BRACKETED = re.compile(r"\[[^\[\]]*\](:[0-9]*)?")
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*")


@dataclass(frozen=True)
class Address:
    """An http(s) address in its parts: ``host`` in lower case, punycode, no brackets; ``target`` is path and query."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def authority(self) -> str:
        """Host and port as the ``Host`` header writes them."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _DEFAULT_PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The address as one string."""
        return f"{self.scheme}://{self.authority}{self.target}"


def parse(url: str) -> Address:
    """Take an absolute http(s) URL apart.

    Raises:
        ValueError: what is wrong with it, as the end of the sentence "the URL …".
    """
    if len(url) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    if _FORBIDDEN.search(url):
        raise ValueError("has a space, a backslash or a control character: write them as %XX")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(_UNREADABLE) from error
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must start with http:// or https://")
    if "@" in parts.netloc:
        raise ValueError("must not contain a user name or password")
    # The standard library takes what stands before and behind the brackets for nothing.
    if "[" in parts.netloc and not _BRACKETED.fullmatch(parts.netloc):
        raise ValueError(_UNREADABLE)
    host = _ipv6(parts.hostname or "") if "[" in parts.netloc else _host(parts.hostname or "")
    if port == 0:
        raise ValueError("has the port 0")
    return Address(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], _target(parts.path, parts.query))


def join(base: Address, location: str) -> Address:
    """Where a redirect from ``base`` leads; raises as `parse` does."""
    if _FORBIDDEN.search(location):
        raise ValueError("has a space, a backslash or a control character")
    try:
        url = urljoin(base.url, location)
    except ValueError as error:
        raise ValueError(_UNREADABLE) from error
    return parse(url)


def check_url(url: str) -> None:
    """Refuse, when a request is submitted, what could never be fetched: the syntax only, nothing is looked up.

    Raises `Problem` ``invalid_parameter``.
    """
    try:
        parse(url)
    except ValueError as error:
        raise Problem("invalid_parameter", f"the image's URL {error}") from None


def _host(host: str) -> str:
    if not host:
        raise ValueError("has no host")
    host = (host if host.isascii() else _punycode(host)).removesuffix(".")
    if len(host) > 253 or not _NAME.fullmatch(host):
        raise ValueError("has a host that is not a valid name")
    return host


def _ipv6(host: str) -> str:
    if "%" in host:
        raise ValueError("has a host with a zone (%…), which means nothing to another machine")
    try:
        return str(ipaddress.IPv6Address(host))
    except ValueError as error:
        raise ValueError("has a host that is not a valid IPv6 address") from error


def _punycode(host: str) -> str:
    # Here and not above: its tables take a megabyte, and such hosts are rare.
    import idna

    try:
        return idna.encode(host, uts46=True).decode("ascii").lower()
    except idna.IDNAError as error:
        raise ValueError("has a host that is not a valid international name") from error


def _target(path: str, query: str) -> str:
    # "%" is safe: what is escaped already stays as it is, signatures of presigned URLs depend on it.
    safe = "/:;=@!$&'()*+,~-._%?[]"
    return quote(path or "/", safe=safe) + (f"?{quote(query, safe=safe)}" if query else "")
