"""Outgoing calls: what users' URLs may reach, and hosts of which only some IP addresses respond."""

import asyncio
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from ipaddress import ip_address
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from pydantic import SecretStr

from app.auth.jwks import JwksCache
from app.config import Settings
from app.errors import UrlRefused
from app.net.connecting import ATTEMPT_DELAY, ATTEMPTS_MAX, in_order_of_attempts
from app.net.mail import Mailer
from app.net.outbound import OutboundClient, Outcome, check_url
from app.net.outbound_policy import EVERY_NETWORK, OutboundPolicy
from app.net.special_addresses import is_shut
from tests.ports import free_port
from tests.receivers import receiving

NAME = "receiver.test"
LOOPBACK = OutboundPolicy([NAME])
METADATA = [
    "169.254.169.254", "169.254.170.2", "169.254.0.23", "168.63.129.16", "100.100.100.200", "192.0.0.192",
    "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:42::42", "fe80::a9fe:a9fe", "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe", "2002:a9fe:a9fe::", "::169.254.169.254",
    "::ffff:0:169.254.169.254", "fd00:a9fe:a9fe::1",
]  # fmt: skip


@contextmanager
def resolving(patch: pytest.MonkeyPatch, *addresses: str, name: str = NAME) -> Iterator[list[str]]:
    """Plays the DNS server: ``name`` has these addresses, in this order. Yields the names that were looked up."""
    real, asked = socket.getaddrinfo, []

    def resolve(host: Any, port: Any, *args: Any, **options: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else host
        if text != name:
            return real(host, port, *args, **options)
        asked.append(text)
        return [entry for address in addresses for entry in real(address, port, *args, **options)]

    with patch.context() as patched:
        patched.setattr(socket, "getaddrinfo", resolve)
        yield asked


@contextmanager
def silent(port: int, address: str) -> Iterator[None]:
    """Occupies a port whose connections are never made: its queue is full, so the kernel drops further ones."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server((address, port), family=family, backlog=0))
        for _ in range(3):
            waiting = stack.enter_context(socket.socket(family))
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname()[:2])
        yield


async def post(url: str, policy: OutboundPolicy) -> Outcome:
    async with OutboundClient(policy) as client:
        return await client.post(url, b"{}", {"X-Test": "1"})


@pytest.mark.parametrize("dead", [["127.0.0.2"], ["::1"], ["127.0.0.2", "::1", "127.0.0.3"]])
async def test_a_webhook_goes_to_the_address_that_listens(monkeypatch: pytest.MonkeyPatch, dead: list[str]) -> None:
    with receiving() as receiver, resolving(monkeypatch, *dead, "127.0.0.1") as asked:
        outcome = await post(f"http://{NAME}:{receiver.port}/hook", LOOPBACK)
        assert (outcome.status, outcome.error) == (204, None)
        assert receiver.calls[0].headers["host"] == f"{NAME}:{receiver.port}"
        assert receiver.calls[0].headers["x-test"] == "1"
        assert receiver.calls[0].body == b"{}"
    assert asked == [NAME]  # once: the addresses that were checked are the ones that were called


async def test_an_address_that_never_responds_costs_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver, silent(receiver.port, "127.0.0.2"), silent(receiver.port, "::1"):
        with resolving(monkeypatch, "::1", "127.0.0.2", "127.0.0.1"):
            started = time.monotonic()
            outcome = await post(f"http://{NAME}:{receiver.port}/hook", LOOPBACK)
        assert outcome.status == 204, outcome
        assert ATTEMPT_DELAY < time.monotonic() - started < 2


async def test_the_last_error_is_reported_when_no_address_responds(monkeypatch: pytest.MonkeyPatch) -> None:
    with resolving(monkeypatch, "::1", "127.0.0.2"):
        outcome = await post(f"http://{NAME}:{free_port()}/", LOOPBACK)
    assert outcome.status is None
    assert str(outcome.error).startswith("ConnectError")


async def test_all_addresses_are_checked_before_any_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    with receiving() as receiver:
        for addresses in (["127.0.0.1", "169.254.169.254"], ["127.0.0.1", "fe80::1%lo"], ["127.0.0.1", "8.8.8.8"]):
            policy = OutboundPolicy([NAME] if addresses[1] != "8.8.8.8" else [])
            with resolving(monkeypatch, *addresses):
                outcome = await post(f"https://{NAME}:{receiver.port}/", policy)
            assert outcome.error == UrlRefused.message
        assert receiver.calls == []


async def test_the_keys_of_an_issuer_come_from_the_address_that_listens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with receiving() as receiver, silent(receiver.port, "127.0.0.2"):
        with resolving(monkeypatch, "127.0.0.2", "127.0.0.1"):
            keys = JwksCache(f"http://{NAME}:{receiver.port}/jwks")
            started = time.monotonic()
            await keys.refresh()
            await keys.aclose()
        assert "status 501" in str(caplog.records[-1].__dict__)  # it was reached, and knows no GET
        assert time.monotonic() - started < 2


async def test_mail_goes_to_the_address_that_listens(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[Any] = []
    arrived = threading.Event()

    class Handler:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            received.append(envelope)
            arrived.set()
            return "250 OK"

    port = free_port()
    controller = Controller(Handler(), hostname="127.0.0.1", port=port)
    controller.start()
    try:
        with silent(port, "127.0.0.2"), resolving(monkeypatch, "::1", "127.0.0.2", "127.0.0.1"):
            mailer = Mailer(Settings(_env_file=None, smtp_url=SecretStr(f"smtp://{NAME}:{port}")))
            mailer.post("alice@example.com", "Hello", "text")
            assert await asyncio.to_thread(arrived.wait, 5)
            await mailer.aclose()
    finally:
        controller.stop()
    assert received[0].rcpt_tos == ["alice@example.com"]


def test_attempts_alternate_between_the_families_and_are_bounded() -> None:
    six, four = [ip_address(f"2001:db8::{n}") for n in range(1, 4)], [ip_address(f"192.0.2.{n}") for n in range(1, 3)]
    assert in_order_of_attempts([*six, *four]) == [six[0], four[0], six[1], four[1], six[2]]
    assert in_order_of_attempts([*four, *six, four[0]])[:2] == [four[0], six[0]]
    assert len(in_order_of_attempts([ip_address(f"192.0.2.{n}") for n in range(200)])) == ATTEMPTS_MAX
    assert in_order_of_attempts([]) == []


@pytest.mark.parametrize("text", METADATA)
def test_link_local_and_metadata_addresses_are_shut_unless_named(text: str) -> None:
    address = ip_address(text)
    assert is_shut(address)
    for allowed in ([], EVERY_NETWORK, ["169.254.0.0/16", "fe80::/10", "fd00::/8"], [NAME, "*.test", "metadata"]):
        policy = OutboundPolicy(allowed)
        assert not policy.permits(address, NAME)
        assert not policy.permits(address, "metadata")
        host = f"[{text}]" if address.version == 6 else text
        for scheme in ("http", "https"):
            with pytest.raises(UrlRefused):
                check_url(f"{scheme}://{host}/latest/meta-data", policy)
    assert OutboundPolicy([text]).permits(address, NAME)


def test_a_name_or_a_network_opens_what_it_names_and_nothing_else() -> None:
    policy = OutboundPolicy(["Nas.lan", "*.home.arpa.", "10.1.0.0/16", "192.168.1.7", "fd12::/16"])
    private = ip_address("172.16.0.1")
    for host in ("nas.lan", "NAS.LAN.", "a.home.arpa", "a.b.home.arpa"):
        assert policy.opens(private, host)
        assert policy.permits(ip_address("8.8.8.8"), host)
        assert check_url(f"http://{host}:8080/x", policy)
    for host in ("xnas.lan", "nas.lan.example", "home.arpa", "evilhome.arpa"):
        assert not policy.permits(private, host)
    for text in ("10.1.255.1", "192.168.1.7", "fd12:1::1", "::ffff:10.1.0.1"):
        assert policy.opens(ip_address(text), "any.example")
    for text in ("10.2.0.1", "192.168.1.8", "fd13::1", "127.0.0.1", "::1", "0.0.0.0", "::ffff:10.2.0.1"):
        assert not policy.permits(ip_address(text), "any.example")
        with pytest.raises(UrlRefused):
            check_url(f"https://[{text}]/" if ":" in text else f"https://{text}/", policy)
    assert not policy.opens(ip_address("8.8.8.8"), "dns.google")
    assert policy.permits(ip_address("8.8.8.8"), "dns.google")
    assert check_url("http://192.168.1.7/", policy)
    for url in ("http://8.8.8.8/", "http://192.168.1.8/", "ftp://nas.lan/", "http://user@nas.lan/"):
        with pytest.raises(UrlRefused):
            check_url(url, policy)


async def test_http_goes_only_to_what_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may resolve to an opened network, which only its resolution shows."""
    with receiving() as receiver:
        url = f"http://{NAME}:{receiver.port}/"
        with resolving(monkeypatch, "127.0.0.1"):
            assert (await post(url, OutboundPolicy(["127.0.0.0/8"]))).status == 204
            refused = await post(url, OutboundPolicy(["10.0.0.0/8"]))
            assert refused.error == UrlRefused.message
        with resolving(monkeypatch, "8.8.8.8"):
            assert "https://" in str((await post(url, OutboundPolicy(["127.0.0.0/8"]))).error)
        assert len(receiver.calls) == 1


def test_the_older_setting_opens_every_network_but_what_is_shut() -> None:
    policy = OutboundPolicy.from_settings(Settings(_env_file=None, webhooks_allow_private=True))
    assert policy.permits(ip_address("127.0.0.1"), "localhost")
    assert policy.permits(ip_address("fd12::1"), "nas")
    assert check_url("http://example.com/", policy)
    assert not policy.permits(ip_address("169.254.169.254"), "nas")


NO_ENTRIES = ["http://nas.lan", "nas.lan:8080", "10.0.0.0/33", "300.1.1.1", "*", "a b", "nas.*", "[::1]:80"]


@pytest.mark.parametrize("entry", NO_ENTRIES)
def test_an_entry_that_is_neither_name_nor_network_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match="a host name"):
        Settings(_env_file=None, outbound_allow=entry)


def test_entries_are_read_from_one_line() -> None:
    read = Settings(_env_file=None, outbound_allow="nas.lan, 10.0.0.0/8,::1,*.home.arpa")
    assert read.outbound_allow == ["nas.lan", "10.0.0.0/8", "::1", "*.home.arpa"]
