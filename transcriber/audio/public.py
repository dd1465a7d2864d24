"""Which IP addresses belong to the public internet."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

UNICAST = IPv6Network("2000::/3")
"""All of IPv6 that has been given to the internet (IANA, IPv6 Global Unicast Address Assignments)."""

SPECIAL = IPv4Network("192.0.0.0/24")
"""For protocols, not for hosts (RFC 6890 §2.2.2), and some clouds' metadata; Python 3.11 knows only a part of it."""

EMBEDDING = IPv6Network("64:ff9b::/96")
"""IPv4 inside IPv6, for gateways that translate (RFC 6052 §2.1)."""


def is_public(text: str) -> bool:
    """Tell whether an IP address belongs to one host of the public internet.

    IPv4 that is embedded in IPv6 is judged as what it leads to.

    Example:
        >>> is_public("8.8.8.8"), is_public("169.254.169.254"), is_public("::ffff:10.0.0.1")
        (True, False, False)
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inner = _embedded(address) if isinstance(address, IPv6Address) else None
    if inner is not None:
        address = inner
    if isinstance(address, IPv6Address):
        is_special = address not in UNICAST or address.scope_id is not None
    else:
        is_special = address in SPECIAL
    return address.is_global and not address.is_multicast and not is_special


def _embedded(address: IPv6Address) -> IPv4Address | None:
    if address.teredo is not None:
        return address.teredo[1]
    if address in EMBEDDING:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
