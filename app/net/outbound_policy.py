"""The hosts and IP addresses that users' URLs may reach: the public internet, and what OUTBOUND_ALLOW names."""

import ipaddress
from collections.abc import Iterable
from typing import Self
from urllib.parse import urlsplit

from app.config import Settings
from app.net.special_addresses import Address, embedded_address, is_public, is_shut

EVERY_NETWORK = ("0.0.0.0/0", "::/0")  # WEBHOOKS_ALLOW_PRIVATE


class OutboundPolicy:
    """The hosts that a name, ``*.name``, IP address or network of ``allowed`` opens, also for http://.

    Link-local addresses, and those at which clouds hand out credentials, are opened by the address itself only.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._exact: set[Address] = set()
        self._networks: list[ipaddress.IPv4Network | ipaddress.IPv6Network] = []
        self._names: set[str] = set()
        self._endings: tuple[str, ...] = ()
        for entry in allowed:
            try:
                network = ipaddress.ip_network(entry, strict=False)
            except ValueError:
                name = entry.lower().rstrip(".")
                if name.startswith("*."):
                    self._endings += (name[1:],)
                else:
                    self._names.add(name)
            else:
                self._networks.append(network)
                if network.num_addresses == 1:
                    self._exact.add(network.network_address)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls([*settings.outbound_allow, *(EVERY_NETWORK if settings.webhooks_allow_private else ())])

    @classmethod
    def for_providers(cls, settings: Settings) -> Self:
        """Returns the policy for sign-in providers: also the hosts of the issuers that the operator names."""
        hosts = [urlsplit(provider.issuer).hostname or "" for provider in settings.login_providers]
        return cls([*settings.outbound_allow, *hosts])

    def may_be_opened(self, host: str) -> bool:
        """Returns whether ``host``, a name or an IP address, may be among what is opened; for a name, DNS decides."""
        address = parse_address(host)
        if address is not None:
            return self.opens(address, host)
        return self._names_host(host) or bool(self._networks)

    def opens(self, address: Address, host: str) -> bool:
        """Returns whether the setting opens ``address``, which ``host`` resolved to."""
        inner = embedded_address(address)
        if address in self._exact or inner in self._exact:
            return True
        if is_shut(address):
            return False
        return self._names_host(host) or any((inner or address) in network for network in self._networks)

    def permits(self, address: Address, host: str) -> bool:
        """Returns whether a call may go to ``address``."""
        return self.opens(address, host) or (is_public(address) and not is_shut(address))

    def _names_host(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        return name in self._names or name.endswith(self._endings)


def parse_address(host: str) -> Address | None:
    """Returns the IP address that ``host`` is, without its zone; None for a name."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return None
