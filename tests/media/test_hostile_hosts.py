"""Every way to have this service ask what its client could not: spelled, resolved, redirected, allowed by name.

Each row is tried by both who ask where a client says, and a server on every address of this machine hears of none.
"""

import itertools
import socket
from pathlib import Path

import pytest

from openkontext.media import outward
from openkontext.media.addresses import is_public
from tests.media.servers import response, serving
from tests.media.strangers import PRIVATE, PUBLIC, ask_input, ask_webhook, in_time, names

ASKING = {"input": ask_input, "webhook": ask_webhook}
EVERY_ADDRESS = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
OK = response(b"taken")
NOT_PUBLIC = "has a host without a public address"
BAD_NAME, UNREADABLE = "has a host that is not a valid name", "has a host or port that can't be read"
BAD_CHARACTER = "has a space, a backslash or a control character: write them as %XX"
SCHEME, CREDENTIALS = "must start with http:// or https://", "must not contain a user name or password"
PORT = "has the port {}; allowed are 80, 443 and those from 1024 up"

# What a name or a URL leads to, in the notation of a resolver.
ADDRESSES = {
    "loopback": "127.0.0.1",
    "loopback's end": "127.255.255.254",
    "private 10/8": "10.0.0.1",
    "private 172.16/12": "172.31.255.254",
    "private 192.168/16": "192.168.0.1",
    "link-local": "169.254.0.1",
    "metadata of AWS, Google and most": "169.254.169.254",
    "metadata of AWS's containers": "169.254.170.2",
    "metadata of Alibaba": "100.100.100.200",
    "metadata of Azure": "168.63.129.16",
    "metadata of Oracle": "192.0.0.192",
    "metadata of AWS by IPv6": "fd00:ec2::254",
    "metadata of Google by IPv6": "fd20:ce::254",
    "carrier-grade NAT": "100.64.0.1",
    "this network": "0.0.0.0",
    "this network's rest": "0.255.255.255",
    "protocol assignments": "192.0.0.1",
    "documentation": "203.0.113.1",
    "benchmarks": "198.19.255.254",
    "6to4 relays": "192.88.99.1",
    "multicast": "224.0.0.251",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "IPv6 loopback": "::1",
    "IPv6 unspecified": "::",
    "IPv6 link-local": "fe80::1",
    "IPv6 site-local": "fec0::1",
    "IPv6 unique local": "fd12:3456::1",
    "IPv6 multicast": "ff02::1",
    "IPv6 documentation": "2001:db8::1",
    "mapped": "::ffff:127.0.0.1",
    "mapped, in hexadecimal": "::ffff:a9fe:a9fe",
    "compatible": "::127.0.0.1",
    "translated": "::ffff:0:127.0.0.1",
    "6to4": "2002:7f00:1::1",
    "Teredo": "2001:0:7f00:1::1",
    "NAT64": "64:ff9b::127.0.0.1",
    "NAT64 of metadata": "64:ff9b::a9fe:a9fe",
    "local NAT64": "64:ff9b:1::127.0.0.1",
    "ISATAP": "2606:4700::5efe:127.0.0.1",
    "ISATAP, universal": "2606:4700::200:5efe:10.0.0.1",
    "discard": "100::1",
}
ROWS = {
    f"{name}, as a host": (f"http://{f'[{ip}]' if ':' in ip else ip}:{{port}}/", ip) for name, ip in ADDRESSES.items()
}
ROWS |= {f"{name}, by a name": ("http://inside.example:{port}/", ip) for name, ip in ADDRESSES.items()}

SPELLINGS = (
    *("127.1", "127.0.1", "0", "0.0", "2130706433", "017700000001", "0x7f000001", "0x7F.1", "0177.0.0.1"),
    *("0x7f.0x0.0x0.0x1", "00000177.0.0.1", "127.0.0.1.", "127.000.000.001", "localhost", "LocalHost", "localhost."),
    *("１２７.０.０.１", "127。0。0。1", "127．0．0．1", "127.0.0.1｡", "①②⑦.⓪.⓪.①", "ⓛocalhost", "ｌｏｃａｌｈｏｓｔ"),
    *("local\u00adhost", "local\u200bhost", "[::0001]", "[0:0:0:0:0:0:0:1]", "[0:0:0:0:0:FFFF:7F00:0001]"),
    *("[::ffff:127.0.0.1]", "[0000:0000:0000::127.0.0.1]", socket.gethostname()),
)
ROWS |= {f"spelled {host!a}": (f"http://{host}:{{port}}/", "") for host in SPELLINGS}

WHITE = "\\ \t\n\r\0\x1f\x7f\x85\xa0\u2028\ufeff"
PORTS = ("65536", "-1", "+80", "8_0", "80a", "８０", "٨٠", "0x50")
SYNTAX = {
    # Brackets.
    "http://[::1": UNREADABLE,
    "http://public.example[::1]:{port}/": UNREADABLE,
    "http://[::1]public.example:{port}/": UNREADABLE,
    "http://[fe80::1%25lo]:{port}/": "has a host with a zone (%…), which means nothing to another machine",
    "http://[::ffff:127.0.0.1%25lo]/": "has a host with a zone (%…), which means nothing to another machine",
    "http://[127.0.0.1]:{port}/": UNREADABLE,
    "http://[v1.127.0.0.1]/": "has a host that is not a valid IPv6 address",
    # Names.
    "http://127%2e0%2e0%2e1:{port}/": BAD_NAME,
    "http://%31%32%37.0.0.1/": BAD_NAME,
    "http://127.0.0.1%00.public.example/": BAD_NAME,
    "http://127.0.0.1%2f.public.example/": BAD_NAME,
    "http://127.0.0.1..:{port}/": BAD_NAME,
    "http://127.0.0.1;public.example/": BAD_NAME,
    "http://127.0.0.1,public.example/": BAD_NAME,
    "http://" + "a" * 64 + ".example/": BAD_NAME,
    "http://" + "a." * 126 + "example/": BAD_NAME,
    "http://127.0.0.1／.public.example/": UNREADABLE,
    "http://public.example℀@127.0.0.1/": UNREADABLE,
    # White space, backslashes and control characters.
    **{f"http://public.example{c}@127.0.0.1:{{port}}/": BAD_CHARACTER for c in WHITE},
    "http://127.0.0.1\\.public.example/": BAD_CHARACTER,
    "ht\ntp://127.0.0.1/": BAD_CHARACTER,
    " http://127.0.0.1/": BAD_CHARACTER,
    "http://127.0.0.1/ HTTP/1.1\r\nx-evil: 1": BAD_CHARACTER,
    # User names and passwords.
    "http://public.example@127.0.0.1:{port}/": CREDENTIALS,
    "http://public.example:80@127.0.0.1/": CREDENTIALS,
    "http://127.0.0.1@public.example/": CREDENTIALS,
    "http://:secret@public.example/": CREDENTIALS,
    "http://@127.0.0.1/": CREDENTIALS,
    "http://a@b@127.0.0.1/": CREDENTIALS,
    "http://public.example%2f@127.0.0.1/": CREDENTIALS,
    # Ports.
    "http://public.example:0/": "has the port 0",
    **{f"http://public.example:{port}/": PORT.format(port) for port in (1, 21, 22, 23, 25, 53, 110, 445, 587, 1023)},
    **{f"http://public.example:{port}/": UNREADABLE for port in PORTS},
    "http://public.example:80:80/": UNREADABLE,
    # Schemes.
    **{f"{scheme}://127.0.0.1:{{port}}/": SCHEME for scheme in ("ftp", "gopher", "dict", "ldap", "ws", "tftp", "smb")},
    "file:///etc/passwd": SCHEME,
    "file://localhost/etc/passwd": SCHEME,
    "unix:///run/docker.sock": SCHEME,
    "http+unix://%2frun%2fdocker.sock/": SCHEME,
    "javascript:alert(1)": SCHEME,
    "data:image/png;base64,AAAA": SCHEME,
    "jar:http://127.0.0.1!/": SCHEME,
    "url:http://127.0.0.1/": SCHEME,
    "//127.0.0.1:{port}/": SCHEME,
    "127.0.0.1:{port}/": SCHEME,
    "": SCHEME,
    # Nothing where the host should be, and too much of it all.
    "http:127.0.0.1": "has no host",
    "http:///127.0.0.1/": "has no host",
    "http://:{port}/": "has no host",
    "http://?@127.0.0.1/": "has no host",
    "http://public.example/" + "a" * 4096: "is longer than 4096 characters",
    "http://" + "a" * 5000 + "/": "is longer than 4096 characters",
}


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("row", ROWS)
def test_no_private_address_is_asked(row: str, asking: str) -> None:
    """However it is written and wherever it comes from."""
    url, address = ROWS[row]
    with serving(OK, host=EVERY_ADDRESS) as every:
        said = in_time(ASKING[asking], url.format(port=every.port), resolver=names(inside=[address]))
    assert ([], True) == (every.requests, said.startswith(f"{NOT_PUBLIC}: ")), said


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("url", SYNTAX)
def test_what_can_be_read_in_two_ways_is_not_read(url: str, asking: str) -> None:
    """Nothing is even looked up."""
    with serving(OK, host=EVERY_ADDRESS) as every:
        said = in_time(ASKING[asking], url.replace("{port}", str(every.port)), resolver=lambda *_: pytest.fail("asked"))
    assert ([], SYNTAX[url]) == (every.requests, said)


MIXED = {
    "private first": [PRIVATE, PUBLIC],
    "private last": [PUBLIC, PRIVATE],
    "private among many": [*[PUBLIC] * 40, "10.0.0.1"],
    "mapped last": [PUBLIC, "::ffff:127.0.0.1"],
    "no address": [PUBLIC, "junk"],
    "nothing": [],
}


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("case", MIXED)
def test_one_private_address_spoils_a_name(case: str, asking: str) -> None:
    """Nor is its public one asked."""
    with serving(OK, host=EVERY_ADDRESS) as every:
        said = in_time(ASKING[asking], f"http://both.example:{every.port}/", resolver=names(both=MIXED[case]))
    assert ([], f"{NOT_PUBLIC}: both.example") == (every.requests, said)


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize("asking", ASKING)
def test_a_name_that_changes_its_mind(asking: str) -> None:
    """Public at one look-up, private at the next, and so on: whatever was checked is what is asked, a hundred times."""
    turns = itertools.cycle([[PUBLIC], [PRIVATE]])
    with serving(OK, host=PUBLIC) as public, serving(OK, host=PRIVATE, port=public.port) as private:
        url = f"http://rebind.example:{public.port}/"
        said = [ASKING[asking](url, resolver=lambda *_: next(turns)) for _ in range(100)]
    taken = {"input": "5 bytes", "webhook": "status 200"}[asking]
    assert [taken, f"{NOT_PUBLIC}: rebind.example"] * 50 == said
    assert (50, []) == (len(public.requests), private.requests)


def test_this_machines_own_public_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its firewall keeps others from what listens there, and would not keep us."""
    monkeypatch.setattr(outward, "is_public", lambda address: address == PUBLIC or is_public(address))
    with serving(OK, host=PUBLIC) as own:
        said = [ask(f"http://me.example:{own.port}/", resolver=names(me=[PUBLIC])) for ask in ASKING.values()]
    assert ([], [f"{NOT_PUBLIC}: me.example"] * 2) == (own.requests, said)


@pytest.mark.usefixtures("internet")
def test_a_name_of_many_addresses() -> None:
    """It has us knock at eight doors, not at a thousand."""
    knocked: list[object] = []
    with socket.socket() as taken, pytest.MonkeyPatch.context() as patch:
        taken.bind((PUBLIC, 0))
        connect = socket.create_connection
        patch.setattr(socket, "create_connection", lambda *given: knocked.append(given) or connect(*given))
        url = f"http://many.example:{taken.getsockname()[1]}/"
        assert "has a host that refuses connections" == ask_input(url, resolver=names(many=[PUBLIC] * 1000))
    assert 8 == len(knocked)


# Where a public host sends its visitors, and what an input's URL is then said to be.
REDIRECTS = {
    "http://127.0.0.1:{port}/": f"{NOT_PUBLIC}: 127.0.0.1",
    "//127.1:{port}/": f"{NOT_PUBLIC}: 127.1",
    "http://0x7f.1:{port}/": f"{NOT_PUBLIC}: 0x7f.1",
    "http://[::ffff:127.0.0.1]:{port}/": f"{NOT_PUBLIC}: ::ffff:7f00:1",
    "http://169.254.169.254/latest/meta-data/": f"{NOT_PUBLIC}: 169.254.169.254",
    "http://168.63.129.16/metadata": f"{NOT_PUBLIC}: 168.63.129.16",
    "http://inside.example:{port}/": f"{NOT_PUBLIC}: inside.example",
    "http://both.example:{port}/": f"{NOT_PUBLIC}: both.example",
    "http://evil.example:22/": PORT.format(22),
    "//evil.example:25/": PORT.format(25),
    "file:///etc/passwd": f"is redirected to one that {SCHEME}",
    "ftp://127.0.0.1/": f"is redirected to one that {SCHEME}",
    "gopher://127.0.0.1:{port}/_GET": f"is redirected to one that {SCHEME}",
    "data:image/png;base64,AAAA": f"is redirected to one that {SCHEME}",
    "javascript:alert(1)": f"is redirected to one that {SCHEME}",
    "http://evil.example@127.0.0.1:{port}/": f"is redirected to one that {CREDENTIALS}",
    "//user:secret@127.0.0.1:{port}/": f"is redirected to one that {CREDENTIALS}",
    "/\\127.0.0.1:{port}/": "is redirected to one that has a space, a backslash or a control character",
    "http://127.0.0.1 :{port}/": "is redirected to one that has a space, a backslash or a control character",
    "http://127.0.0.1:99999/": f"is redirected to one that {UNREADABLE}",
    "http://evil.example[::1]:{port}/": f"is redirected to one that {UNREADABLE}",
    "/" + "a" * 4096: "is redirected to one that is longer than 4096 characters",
    "/again": "is redirected more than 3 times",
    "": "is redirected more than 3 times",
}


@pytest.mark.usefixtures("internet")
@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("location", REDIRECTS)
def test_no_redirect_leads_inside(location: str, asking: str) -> None:
    """An input's is held to the rules of a URL, at each step; a webhook's is an answer, and not followed at all."""
    with serving(OK, host=PRIVATE) as inside:
        answer = response(b"", "302 Found", location=location.replace("{port}", str(inside.port)))
        with serving(answer, host=PUBLIC) as evil:
            known = names(evil=[PUBLIC], inside=[PRIVATE], both=[PUBLIC, PRIVATE])
            said = in_time(ASKING[asking], f"http://evil.example:{evil.port}/", resolver=known)
    assert ({"input": REDIRECTS[location], "webhook": "status 302"}[asking], []) == (said, inside.requests)
    assert (4 if "3 times" in said else 1) == len(evil.requests)


# The operator allows allowed.example and files.example:{port}, which are private, and nothing else.
ALLOWED = {
    "http://allowed.example:{port}/": True,
    "http://ALLOWED.Example.:{port}/": True,
    "http://files.example:{port}/": True,
    "http://allowed.example.evil.example:{port}/": False,
    "http://evil-allowed.example:{port}/": False,
    "http://evil.allowed.example:{port}/": False,
    "http://allowed.exampl\u0435:{port}/": False,
    "http://allowed:{port}/": False,
    "http://127.0.0.1:{port}/": False,
    "http://evil.example:{port}/#allowed.example": False,
    "http://evil.example:{port}/?allowed.example": False,
    "http://evil.example:{port}/allowed.example": False,
    "http://files.example:{other}/": False,
    "http://files.example.:{other}/": False,
}


@pytest.mark.parametrize("asking", ASKING)
@pytest.mark.parametrize("url", ALLOWED)
def test_an_allowed_name_lets_no_other_in(url: str, asking: str) -> None:
    """It is the whole name, and the port where one is given; how it is written makes no difference."""
    with serving(OK) as server, serving(OK) as other:
        hosts = frozenset({"allowed.example", f"files.example:{server.port}"})
        asked = url.format(port=server.port, other=other.port)
        said = in_time(ASKING[asking], asked, resolver=lambda *_: [PRIVATE], hosts=hosts)
    assert (ALLOWED[url], []) == (len(server.requests) == 1, other.requests)
    assert ALLOWED[url] is not said.startswith(f"{NOT_PUBLIC}: ")


def test_an_allowed_host_sends_nobody_inside() -> None:
    """Its redirect to another private host, or to itself on another port, is refused as anybody's."""
    with serving(OK) as inside:
        for host in ("127.0.0.1", "inside.example", "allowed.example"):
            with serving(response(b"", "302 Found", location=f"http://{host}:{inside.port}/")) as server:
                hosts = frozenset({f"allowed.example:{server.port}"})
                url = f"http://allowed.example:{server.port}/"
                assert f"{NOT_PUBLIC}: {host}" == ask_input(url, resolver=lambda *_: [PRIVATE], hosts=hosts)
    assert [] == inside.requests


@pytest.mark.parametrize("asking", ASKING)
def test_nobody_learns_what_is_inside(asking: str) -> None:
    """An open port, a closed one, a name that has no address and one that has: one sentence, and no address in it."""
    with serving(OK) as server:
        pass
    with serving(OK) as open_port:
        known = names(hidden=[PRIVATE], other=["10.1.2.3"], unknown=[])
        said = {
            ASKING[asking](f"http://{name}.example:{port}/", resolver=known).replace(name, "name")
            for name in ("hidden", "other", "unknown")
            for port in (server.port, open_port.port)
        }
    assert {f"{NOT_PUBLIC}: name.example"} == said


@pytest.mark.parametrize("asking", ASKING)
def test_the_environment_has_no_say(asking: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No proxy, no password of .netrc, and no name of this machine go out with a request."""
    (tmp_path / ".netrc").write_text("machine allowed.example login someone password secret\n")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    with serving(OK) as proxy, serving(OK) as server:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("NO_PROXY", "")
        url = f"http://allowed.example:{server.port}/"
        ASKING[asking](url, resolver=lambda *_: [PRIVATE], hosts=frozenset({"allowed.example"}))
    head = server.requests[0].decode().lower().partition("\r\n\r\n")[0].split("\r\n")[1:]
    sent = {"input": {"accept", "user-agent"}, "webhook": {"content-type", "content-length"}}[asking]
    assert sent | {"host", "connection", "accept-encoding"} == {line.partition(":")[0] for line in head}
    assert ([], f"host: allowed.example:{server.port}") == (proxy.requests, head[0])
