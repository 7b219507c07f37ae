"""Public and special-purpose IP addresses by IANA's registries: the same under every release of Python."""

from ipaddress import ip_address, ip_network

import pytest

from app.net.special_addresses import GLOBAL_UNICAST, SPECIAL_NETWORKS, is_public

REFUSED = """
0.0.0.0 0.0.0.1 0.255.255.255 10.0.0.0 10.255.255.255 100.64.0.0 100.127.255.255 127.0.0.1 127.255.255.255
169.254.0.0 169.254.169.254 169.254.255.255 172.16.0.0 172.31.255.255 192.0.0.0 192.0.0.7 192.0.0.8 192.0.0.11
192.0.0.169 192.0.0.170 192.0.0.171 192.0.0.192 192.0.0.255 192.0.2.0 192.0.2.255 192.88.99.0 192.88.99.2 192.88.99.255
192.168.0.0 192.168.255.255 198.18.0.0 198.19.255.255 198.51.100.0 198.51.100.255 203.0.113.0 203.0.113.255
224.0.0.0 239.255.255.255 240.0.0.0 255.255.255.254 255.255.255.255
:: ::1 ::2 ::7f00:1 ::808:808 64:ff9b:1:: 64:ff9b:1:ffff:ffff:ffff:ffff:ffff 100:: 100::ffff:ffff:ffff:ffff
100:0:0:1:: 100:0:0:1:ffff:ffff:ffff:ffff 2001:1:: 2001:1::4 2001:2:: 2001:2:0:ffff:ffff:ffff:ffff:ffff 2001:2:1::
2001:4:111:: 2001:10:: 2001:1f:ffff:ffff:ffff:ffff:ffff:ffff 2001:40:: 2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff 2001:db8::
2001:db8:ffff:ffff:ffff:ffff:ffff:ffff 3fff:: 3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff 4000:: 5f00:: 5f00:ffff::
1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fc00:: fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff fe00:: fe80:: fe80::1
febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff fec0::1 ff00:: ff0e::1 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff
::ffff:127.0.0.1 ::ffff:192.0.0.192 64:ff9b::7f00:1 64:ff9b::c000:c0 2002:7f00:1:: 2002:c000:c0::
2001:0:808:808::80ff:fffe 2001:0:808:808::3fff:ff3f
"""
PUBLIC = """
1.0.0.0 1.1.1.1 8.8.8.8 9.255.255.255 11.0.0.0 100.63.255.255 100.128.0.0 126.255.255.255 128.0.0.0 169.253.255.255
169.255.0.0 172.15.255.255 172.32.0.0 191.255.255.255 192.0.0.9 192.0.0.10 192.0.1.0 192.0.1.255 192.0.3.0 192.31.196.0
192.31.196.255 192.52.193.0 192.52.193.255 192.88.98.255 192.88.100.0 192.167.255.255 192.169.0.0 192.175.48.0
192.175.48.255 198.17.255.255 198.20.0.0 198.51.99.255 198.51.101.0 203.0.112.255 203.0.114.0 223.255.255.255
2000:: 2001:1::1 2001:1::2 2001:1::3 2001:3:: 2001:3:ffff:ffff:ffff:ffff:ffff:ffff 2001:4:112:: 2001:4:112:ffff::
2001:20:: 2001:2f:ffff:ffff:ffff:ffff:ffff:ffff 2001:30:: 2001:3f:ffff:ffff:ffff:ffff:ffff:ffff 2001:200::
2001:db7:ffff:ffff:ffff:ffff:ffff:ffff 2001:db9:: 2003:: 2606:4700:4700::1111 2620:4f:8000:: 2620:4f:8000:ffff:: 3ffe::
3fff:1000:: 3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ::ffff:8.8.8.8 64:ff9b::808:808 2002:808:808::
2001:0:a00:1::f7f7:f7f7
"""


@pytest.mark.parametrize("text", REFUSED.split())
def test_a_special_purpose_address_is_not_public(text: str) -> None:
    assert not is_public(ip_address(text))


@pytest.mark.parametrize("text", PUBLIC.split())
def test_an_ordinary_address_is_public(text: str) -> None:
    assert is_public(ip_address(text))


@pytest.mark.parametrize(("text", "reachable", "name"), SPECIAL_NETWORKS, ids=lambda value: str(value))
def test_each_row_of_the_registries_has_an_example(text: str, reachable: bool, name: str) -> None:
    """A row without an example here has not been examined."""
    network = ip_network(text)
    examples = {ip_address(example) for example in (PUBLIC if reachable else REFUSED).split()}
    assert [example for example in examples if example in network], name
    if network.version == 6 and reachable:
        assert network.network_address in GLOBAL_UNICAST
