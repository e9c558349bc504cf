"""Whether an IP address is of the public internet: what foreign data names must not lead into a private network. Pure.

By tables of its own (IANA's special-purpose registries): those of `ipaddress` differ between releases of Python, and
leave out multicast, addresses that carry one of IPv4, and the public number at which Azure answers its machines.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

_NOT_PUBLIC = tuple(map(IPv4Network, (
    "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
    "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
    "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    "168.63.129.16/32",  # Azure's "wire server"
)))  # fmt: skip
_UNICAST = IPv6Network("2000::/3")  # all that is given to anybody; local ones of any kind are outside
_NOT_PUBLIC_6 = tuple(map(IPv6Network, (
    "2001::/23",  # Teredo among them
    "2001:db8::/32", "2002::/16",  # examples; 6to4
    "2620:4f:8000::/48", "3fff::/20",
)))  # fmt: skip
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: what a network without IPv4 gives for hosts that have nothing else


def is_public(address: str) -> bool:
    """Return whether an address is of the public internet; a scope (``%eth0``) is ignored."""
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, IPv6Address):
        inside = IPv4Address(int(found) & 0xFFFFFFFF) if found in _NAT64 else found.ipv4_mapped
        if inside is None:
            return found in _UNICAST and not any(found in network for network in _NOT_PUBLIC_6)
        found = inside
    return not any(found in network for network in _NOT_PUBLIC)


__all__ = ["is_public"]
