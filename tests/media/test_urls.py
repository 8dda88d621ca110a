"""URLs that clients give: what is taken, how it is written down, and what is refused before anything is looked up."""

import pytest

from openkontext.contract import Problem
from openkontext.media.addresses import is_public
from openkontext.media.urls import MAX_LENGTH, check_url, join, parse

TAKEN = {
    "http://example.com": "http://example.com/",
    "https://example.com/a.png": "https://example.com/a.png",
    "HTTPS://EXAMPLE.com./A.png": "https://example.com/A.png",
    "http://example.com:80/": "http://example.com/",
    "https://example.com:80/": "https://example.com:80/",
    "http://example.com:/": "http://example.com/",
    "http://localhost:9000/a": "http://localhost:9000/a",
    "http://[::1]:9000/a": "http://[::1]:9000/a",
    "http://[0:0:0:0:0:0:0:01]/": "http://[::1]/",
    "https://h.com/a%20b.png?x=1&y=%2F+z#part": "https://h.com/a%20b.png?x=1&y=%2F+z",
    "https://h.com?x=1": "https://h.com/?x=1",
    "https://h.com//a//../b": "https://h.com//a//../b",
    "https://h.com/ä.png?q=ö": "https://h.com/%C3%A4.png?q=%C3%B6",
    "https://bücher.example/": "https://xn--bcher-kva.example/",
    "https://例え.jp/": "https://xn--r8jz45g.jp/",
    "http://under_score.example/": "http://under_score.example/",
    "http://2130706433/": "http://2130706433/",
    "https://h.com/" + "a" * (MAX_LENGTH - 14): "https://h.com/" + "a" * (MAX_LENGTH - 14),
}


@pytest.mark.parametrize("url", TAKEN)
def test_taken(url: str) -> None:
    """A URL comes out in one canonical spelling, and that one is its own."""
    assert TAKEN[url] == parse(url).url
    assert parse(url) == parse(parse(url).url)
    check_url(url)


REFUSED = {
    "": "must start with http",
    "photo.png": "must start with http",
    "/files/a": "must start with http",
    "//host/a": "must start with http",
    "ftp://host/a": "must start with http",
    "file:///etc/passwd": "must start with http",
    "gopher://host/": "must start with http",
    "javascript:alert(1)": "must start with http",
    "http:host": "has no host",
    "http://": "has no host",
    "http:///a": "has no host",
    "http://:80/": "has no host",
    "http://?a": "has no host",
    "http://user@host/": "user name or password",
    "http://user:pass@host/": "user name or password",
    "http://@host/": "user name or password",
    "http://public.example#@127.0.0.1/": None,
    "http://public.example\\@127.0.0.1/": "backslash",
    "http://host /": "a space",
    " http://host/": "a space",
    "http://host/a b": "a space",
    "http://ho\nst/": "control character",
    "http://host/\r\nx-evil: 1": "control character",
    "http://host/\0": "control character",
    "http://host/\ud800": "control character",
    "http://host:0/": "the port 0",
    "http://host:65536/": "can't be read",
    "http://host:-1/": "can't be read",
    "http://host:80a/": "can't be read",
    "http://[::1/": "can't be read",
    "http://[::g]/": "can't be read",
    "http://[fe80::1%25eth0]/": "a zone",
    "http://[fe80::1%eth0]/": "a zone",
    "http://[v1.x]/": "not a valid IPv6",
    "http://public.example[::1]/": "can't be read",
    "http://[2606:4700::1]public.example:80/": "can't be read",
    "http://127.0.0.1%2f/": "not a valid name",
    "http://a..b/": "not a valid name",
    "http://.a/": "not a valid name",
    "http://-a/": "not a valid name",
    "http://a,b/": "not a valid name",
    "http://" + "a" * 64 + "/": "not a valid name",
    "http://" + "a." * 128 + "/": "not a valid name",
    "http://☃\u200d.example/": "international name",
    "http://ho℀st/": "can't be read",
    "http://h/" + "a" * MAX_LENGTH: "longer than 4096",
}


@pytest.mark.parametrize("url", [url for url, words in REFUSED.items() if words])
def test_refused(url: str) -> None:
    """What could not be fetched, or could be read in two ways, is a 400 at once that says why."""
    with pytest.raises(Problem) as caught:
        check_url(url)
    assert ("invalid_parameter", 400) == (caught.value.code, caught.value.status)
    assert caught.value.message.startswith("the image's URL ")
    words = REFUSED[url]
    assert words is not None
    assert words in caught.value.message


def test_what_looks_like_credentials_in_a_fragment() -> None:
    """The host is the one before the #, as for every browser."""
    assert "public.example" == parse("http://public.example#@127.0.0.1/").host


JOINED = {
    "b.png": "https://host/dir/b.png",
    "/b.png": "https://host/b.png",
    "?q=1": "https://host/dir/a?q=1",
    "//other/b": "https://other/b",
    "http://other:8080/b": "http://other:8080/b",
    "": "https://host/dir/a?p=1",
}


@pytest.mark.parametrize("location", JOINED)
def test_redirects_are_resolved(location: str) -> None:
    """A redirect's target is relative to where it came from."""
    assert JOINED[location] == join(parse("https://host/dir/a?p=1"), location).url


@pytest.mark.parametrize("location", ["ftp://host/", "http://u:p@host/", "/a\r\nb", "/a\\b", "http://", "http://["])
def test_bad_redirects_are_refused(location: str) -> None:
    """They are held to the same rules."""
    with pytest.raises(ValueError, match=r"must|has"):
        join(parse("https://host/"), location)


PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]
NOT_PUBLIC = {
    "loopback": "127.0.0.1",
    "all of loopback": "127.255.0.9",
    "private 10": "10.0.0.1",
    "private 172": "172.16.0.1",
    "private 192": "192.168.1.1",
    "link-local, the metadata service": "169.254.169.254",
    "carrier-grade NAT": "100.64.0.1",
    "another metadata service": "100.100.100.200",
    "a third": "192.0.0.192",
    "a host agent that looks public": "168.63.129.16",
    "unspecified": "0.0.0.0",
    "this network": "0.1.2.3",
    "multicast": "224.0.0.1",
    "reserved": "240.0.0.1",
    "broadcast": "255.255.255.255",
    "documentation": "192.0.2.1",
    "benchmarks": "198.18.0.1",
    "6to4 relay": "192.88.99.1",
    "IPv6 loopback": "::1",
    "IPv6 unspecified": "::",
    "IPv6 link-local": "fe80::1",
    "IPv6 link-local with a zone": "fe80::1%eth0",
    "IPv6 site-local": "fec0::1",
    "unique local, a metadata service": "fd00:ec2::254",
    "IPv6 multicast": "ff02::1",
    "IPv6 documentation": "2001:db8::1",
    "newer IPv6 documentation": "3fff::1",
    "mapped loopback": "::ffff:127.0.0.1",
    "mapped private": "::ffff:a00:1",
    "compatible loopback": "::127.0.0.1",
    "translated": "::ffff:0:127.0.0.1",
    "6to4 of loopback": "2002:7f00:1::",
    "6to4 of a public one": "2002:808:808::",
    "Teredo": "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "NAT64 of loopback": "64:ff9b::7f00:1",
    "NAT64 of private": "64:ff9b::a00:1",
    "ISATAP of private": "2606:4700::5efe:10.0.0.1",
    "ISATAP of a public one": "2606:4700::200:5efe:8.8.8.8",
    "local NAT64": "64:ff9b:1::808:808",
    "discard": "100::1",
    "segment routing": "5f00::1",
    "no address": "example.com",
    "empty": "",
}


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """What anybody on the internet can reach may be fetched from, by way of a NAT64 too."""
    assert is_public(address)


@pytest.mark.parametrize("name", NOT_PUBLIC)
def test_addresses_that_are_not_public(name: str) -> None:
    """Everything else may not."""
    assert not is_public(NOT_PUBLIC[name])
