"""Public IP addresses, by IANA's own registries.

``ipaddress.is_global`` depends on the release of Python: in 3.11.7 most of 192.0.0.0/24 counted as public.
"""

from ipaddress import IPv4Address, IPv6Address, ip_network

Address = IPv4Address | IPv6Address

# IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890) up to RFC 9780 of 2025, in their order, with their
# column "Globally Reachable"; N/A there (deprecated) counts as False. The most specific network that holds an address
# decides. IPv6 has global unicast addresses in 2000::/3 only: an address outside of it is refused without a row.
# An embedded IPv4 address (mapped, 6to4, Teredo, NAT64) decides by itself.
SPECIAL_NETWORKS = (
    ("0.0.0.0/8", False, "RFC 791, 3.2: this network"),
    ("0.0.0.0/32", False, "RFC 1122, 3.2.1.3: this host on this network"),
    ("10.0.0.0/8", False, "RFC 1918: private use"),
    ("100.64.0.0/10", False, "RFC 6598: shared address space"),
    ("127.0.0.0/8", False, "RFC 1122, 3.2.1.3: loopback"),
    ("169.254.0.0/16", False, "RFC 3927: link local"),
    ("172.16.0.0/12", False, "RFC 1918: private use"),
    ("192.0.0.0/24", False, "RFC 6890, 2.1: IETF protocol assignments"),
    ("192.0.0.0/29", False, "RFC 7335: IPv4 service continuity"),
    ("192.0.0.8/32", False, "RFC 7600: dummy address"),
    ("192.0.0.9/32", True, "RFC 7723: Port Control Protocol anycast"),
    ("192.0.0.10/32", True, "RFC 8155: TURN anycast"),
    ("192.0.0.170/32", False, "RFC 8880, RFC 7050: NAT64/DNS64 discovery"),
    ("192.0.0.171/32", False, "RFC 8880, RFC 7050: NAT64/DNS64 discovery"),
    ("192.0.2.0/24", False, "RFC 5737: TEST-NET-1"),
    ("192.31.196.0/24", True, "RFC 7535: AS112-v4"),
    ("192.52.193.0/24", True, "RFC 7450: AMT"),
    ("192.88.99.0/24", False, "RFC 7526: deprecated 6to4 relay anycast"),
    ("192.88.99.2/32", False, "RFC 6751: 6a44 relay anycast"),
    ("192.168.0.0/16", False, "RFC 1918: private use"),
    ("192.175.48.0/24", True, "RFC 7534: direct delegation AS112 service"),
    ("198.18.0.0/15", False, "RFC 2544: benchmarking"),
    ("198.51.100.0/24", False, "RFC 5737: TEST-NET-2"),
    ("203.0.113.0/24", False, "RFC 5737: TEST-NET-3"),
    ("224.0.0.0/4", False, "RFC 5771: multicast (its own registry)"),
    ("240.0.0.0/4", False, "RFC 1112, 4: reserved"),
    ("255.255.255.255/32", False, "RFC 8190, RFC 919: limited broadcast"),
    ("::1/128", False, "RFC 4291: loopback"),
    ("::/128", False, "RFC 4291: unspecified"),
    ("64:ff9b:1::/48", False, "RFC 8215: IPv4-IPv6 translation, local use"),
    ("100::/64", False, "RFC 6666: discard only"),
    ("100:0:0:1::/64", False, "RFC 9780: dummy prefix"),
    ("2001::/23", False, "RFC 2928: IETF protocol assignments"),
    ("2001:1::1/128", True, "RFC 7723: Port Control Protocol anycast"),
    ("2001:1::2/128", True, "RFC 8155: TURN anycast"),
    ("2001:1::3/128", True, "RFC 9665: DNS-SD service registration anycast"),
    ("2001:2::/48", False, "RFC 5180: benchmarking"),
    ("2001:3::/32", True, "RFC 7450: AMT"),
    ("2001:4:112::/48", True, "RFC 7535: AS112-v6"),
    ("2001:10::/28", False, "RFC 4843: deprecated ORCHID"),
    ("2001:20::/28", True, "RFC 7343: ORCHIDv2"),
    ("2001:30::/28", True, "RFC 9374: drone remote identification"),
    ("2001:db8::/32", False, "RFC 3849: documentation"),
    ("2620:4f:8000::/48", True, "RFC 7534: direct delegation AS112 service"),
    ("3fff::/20", False, "RFC 9637: documentation"),
    ("5f00::/16", False, "RFC 9602: segment routing identifiers"),
    ("fc00::/7", False, "RFC 4193, RFC 8190: unique local"),
    ("fe80::/10", False, "RFC 4291: link local unicast"),
    ("ff00::/8", False, "RFC 4291: multicast"),
)  # fmt: skip
NETWORKS_BY_LENGTH = sorted(
    ((ip_network(network), reachable) for network, reachable, _ in SPECIAL_NETWORKS),
    key=lambda row: row[0].prefixlen,
    reverse=True,
)
# Where clouds tell a machine its credentials, and what else only the machine itself may ask: besides link-local
# addresses (AWS, Google, Azure and most others), Azure's wire server, Alibaba, Volcengine, Oracle, and by IPv6 AWS,
# Google, Scaleway and Linode.
SHUT_NETWORKS = tuple(
    ip_network(network)
    for network in (
        "169.254.0.0/16", "fe80::/10", "168.63.129.16/32", "100.100.100.200/32", "100.96.0.96/32", "192.0.0.192/32",
        "fd00:ec2::/32", "fd20:ce::/32", "fd00:42::42/128", "fd00:a9fe:a9fe::/48",
    )
)  # fmt: skip
# Translators and tunnels that embed an IPv4 address in the last 32 bits, in networks that are not public themselves:
# RFC 8215 (local NAT64), RFC 4291, 2.5.5.1 (IPv4-compatible) and RFC 2765, 2.1 (IPv4-translated).
LOCAL_EMBEDDING_NETWORKS = tuple(map(ip_network, ("64:ff9b:1::/48", "::/96", "::ffff:0:0:0/96")))
GLOBAL_UNICAST = ip_network("2000::/3")  # RFC 4291, 2.4, and IANA's IPv6 Address Space registry
NAT64_NETWORK = ip_network("64:ff9b::/96")  # RFC 6052: reaches the IPv4 address in its last 32 bits


def is_public(address: Address) -> bool:
    """Returns whether ``address``, or the IPv4 address embedded in it, is on the public internet."""
    if isinstance(address, IPv6Address):
        if (inner := embedded_address(address)) is not None:
            return is_public(inner)
        if address not in GLOBAL_UNICAST:
            return False
    return next((reachable for network, reachable in NETWORKS_BY_LENGTH if address in network), True)


def is_shut(address: Address) -> bool:
    """Returns whether ``address``, or the IPv4 address embedded in it, is link-local or serves credentials."""
    if isinstance(address, IPv6Address):
        local = any(address in network for network in LOCAL_EMBEDDING_NETWORKS)
        inner = IPv4Address(address.packed[-4:]) if local else embedded_address(address)
        if inner is not None:
            return is_shut(inner)
    return any(address in network for network in SHUT_NETWORKS)


def embedded_address(address: Address) -> IPv4Address | None:
    """Returns the IPv4 address that a packet to ``address`` reaches: mapped, by 6to4, Teredo or NAT64."""
    if isinstance(address, IPv4Address):
        return None
    if address in NAT64_NETWORK:
        return IPv4Address(address.packed[-4:])
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)
