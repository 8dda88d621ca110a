"""Which IP addresses are on the public internet, whatever notation or tunnel they come in."""

import socket
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final

# Beside what `is_global` refuses; it has changed between Python's versions, so the ones that matter are written out.
_NOT_PUBLIC: Final = tuple(
    map(
        ip_network,
        (
            "0.0.0.0/8",  # "this" network: Linux takes it for loopback
            "100.64.0.0/10",  # carrier-grade NAT; a cloud's metadata service is at 100.100.100.200
            "168.63.129.16/32",  # Azure's host agent: looks public, answers to every virtual machine
            "192.0.0.0/24",  # protocol assignments; Oracle's metadata service is at 192.0.0.192
            "192.88.99.0/24",  # 6to4 relays
            "198.18.0.0/15",  # benchmarks
            "224.0.0.0/3",  # multicast, reserved, broadcast
            "2001::/23",  # protocol assignments, Teredo's tunnels among them
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: an IPv4 address inside, by way of a relay that nobody runs any more
            "3fff::/20",  # documentation
        ),
    )
)
_IPV6_UNICAST: Final = ip_network("2000::/3")
# The well-known NAT64 prefix, and IPv4-mapped: behind both is an IPv4 address, and that one decides.
_WITH_IPV4_INSIDE: Final = (ip_network("64:ff9b::/96"), ip_network("::ffff:0:0/96"))
# Behind ISATAP's interface identifiers, too, which any prefix can have; nobody offers pictures there.
_ISATAP: Final = (0x0000_5EFE, 0x0200_5EFE)


def is_public(address: str) -> bool:
    """Whether ``address``, as a resolver gives it, is one that anybody on the internet could reach."""
    try:
        ip = ip_address(address)
    except ValueError:
        return False
    return _is_public(ip)


def is_ours(address: str) -> bool:
    """Whether ``address`` is one of this machine's own; where the system lets programs bind to any, all are."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((address, 0))
    except OSError:
        return False
    return True


def _is_public(ip: IPv4Address | IPv6Address) -> bool:
    if isinstance(ip, IPv6Address):
        if any(ip in network for network in _WITH_IPV4_INSIDE):
            return _is_public(IPv4Address(int(ip) & 0xFFFF_FFFF))
        if ip not in _IPV6_UNICAST or int(ip) >> 32 & 0xFFFF_FFFF in _ISATAP:
            return False
    return ip.is_global and not any(ip in network for network in _NOT_PUBLIC if network.version == ip.version)
