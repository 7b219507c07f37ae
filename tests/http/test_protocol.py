"""The cost of a connection before it is a request: raw sockets against the running service."""

import asyncio
import json
import socket
import statistics
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from typing import NamedTuple

import httpx
import psutil
import pytest

from app.db.connection_options import ConnectOptions
from tests.servers import Server, running
from tests.support import make_token

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("anyio_backend")]

HOST = b"Host: localhost\r\n"
ROOM = 40  # connections
LARGE = 20_000_000  # bytes


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes
    seconds: float

    @property
    def code(self) -> str:
        assert self.headers["content-type"] == "application/problem+json"
        problem = json.loads(self.body)
        assert problem["status"] == self.status
        assert problem["request_id"] == self.headers["x-request-id"]
        assert self.headers["connection"] == "close"
        return str(problem["code"])


@pytest.fixture(scope="module")
def server(postgres: ConnectOptions, migrated: str) -> Iterator[Server]:
    short = {
        "HEADER_TIMEOUT": "1",
        "BODY_TIMEOUT": "1",
        "KEEP_ALIVE": "2",
        "WRITE_TIMEOUT": "2",
        "MAX_CONNECTIONS": str(ROOM),
    }
    with running(postgres.dsn, ALLOWED_HOSTS="localhost, todo.example,127.0.0.1", **short) as started:
        yield started


@pytest.fixture(scope="module")
def patient(postgres: ConnectOptions, migrated: str) -> Iterator[Server]:
    """Starts a server that accepts large bodies, and whose timeouts are long except between the bytes of a body."""
    with running(
        postgres.dsn, BODY_LIMIT=str(LARGE), BODY_TIMEOUT="60", BODY_IDLE_TIMEOUT="1", RATE_LIMIT_PER_MINUTE="0"
    ) as started:
        yield started


def connect(server: Server) -> socket.socket:
    return socket.create_connection(("127.0.0.1", server.port), timeout=10)


def receive(connection: socket.socket) -> bytes:
    """Reads until the connection ends."""
    parts = []
    try:
        while part := connection.recv(65536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


def parse(raw: bytes, started: float) -> Answer:
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split()[1]), headers, body, time.monotonic() - started)


def send(server: Server, *pieces: bytes, pause: float = 0.0) -> Answer:
    """Sends ``pieces`` one after the other, and returns the response."""
    started = time.monotonic()
    with connect(server) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        return parse(receive(connection), started)


def get(path: bytes = b"/health", headers: bytes = HOST, version: bytes = b"1.1") -> bytes:
    return b"GET %b HTTP/%b\r\n%bConnection: close\r\n\r\n" % (path, version, headers)


def test_requests_within_the_limits_are_served(server: Server) -> None:
    assert send(server, get()).status == 200
    assert send(server, get(b"/health?" + b"x" * 8000)).status == 200
    assert send(server, get(headers=HOST + b"X-A: b\r\n" * 90)).status == 200
    assert send(server, get(headers=HOST + b"X-A: %b\r\n" % (b"x" * 16_000))).status == 200


@pytest.mark.parametrize("pieces", [1, 200])
def test_a_url_too_long_is_414(server: Server, pieces: int) -> None:
    request = get(b"/health?" + b"x" * 8200)
    assert send(server, *split(request, pieces)).status == 414
    assert send(server, *split(request, pieces)).code == "url_too_long"
    assert send(server, b"GET /" + b"x" * 300_000).code == "url_too_long"


def split(request: bytes, pieces: int) -> list[bytes]:
    size = -(-len(request) // pieces)
    return [request[at : at + size] for at in range(0, len(request), size)]


@pytest.mark.parametrize(
    "headers",
    [
        b"X-A: b\r\n" * 101,
        b"X-A: %b\r\n" % (b"x" * 16_400),
        b"X-A: %b\r\n" % (b"x" * 1000) * 17,
    ],
)
@pytest.mark.parametrize("pieces", [1, 60])
def test_too_many_or_too_large_headers_are_431(server: Server, headers: bytes, pieces: int) -> None:
    answer = send(server, *split(get(headers=HOST + headers), pieces))
    assert (answer.status, answer.code) == (431, "headers_too_large")


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nX-A: ", b"GET / HTTP/1.1\r\n" + HOST])
def test_an_endless_request_head_is_refused(server: Server, start: bytes) -> None:
    """uvicorn alone buffers 50 MB of it."""
    endless = [start, *[b"x" * 16_384] * 100]
    with connect(server) as connection:
        sent = 0
        try:
            for piece in endless:
                sent += connection.send(piece)
        except OSError:
            pass
        received = receive(connection)
    assert not received or parse(received, 0).status in {400, 431}
    assert send(server, get()).status == 200


@pytest.mark.parametrize(
    "headers",
    [b"", HOST * 2, b"Host:\r\n", b"Host: a b\r\n", b"Host: localhost/x\r\n", b"Host: me@localhost\r\n",
     b"Host: elsewhere.example\r\n", b"Host: localhost:123456\r\n", b"Host: localhost.evil.example\r\n"],
)  # fmt: skip
def test_a_missing_or_invalid_host_is_400(server: Server, headers: bytes) -> None:
    answer = send(server, get(headers=headers))
    assert (answer.status, answer.code) == (400, "bad_host")


@pytest.mark.parametrize("host", [b"localhost:8000", b"TODO.example", b"127.0.0.1:80", b"localhost."])
def test_a_host_that_is_allowed_is_served(server: Server, host: bytes) -> None:
    assert send(server, get(headers=b"Host: %b\r\n" % host)).status == 200


def test_http_1_0_needs_no_host(server: Server) -> None:
    assert send(server, get(headers=b"", version=b"1.0")).status == 200


def test_bytes_that_are_not_http_are_a_400_problem(server: Server) -> None:
    answer = send(server, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    assert (answer.status, answer.code) == (400, "malformed_request")
    # Content-Length and Transfer-Encoding together (RFC 9112, 6.1)
    both = b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    assert send(server, b"POST /api/auth/login HTTP/1.1\r\n" + HOST + both).code == "malformed_request"


@pytest.mark.parametrize("start", [b"G", b"GET /health HTTP/1.1\r\n", get()[:-2]])
def test_an_incomplete_request_head_is_408(server: Server, start: bytes) -> None:
    answer = send(server, start)
    assert (answer.status, answer.code) == (408, "request_timeout")
    assert 1 <= answer.seconds < 6


def test_a_trickling_request_head_is_408(server: Server) -> None:
    request = b"GET /health HTTP/1.1\r\n" + HOST + b"X-A: b\r\n" * 40
    with connect(server) as connection:
        connection.settimeout(0.1)
        started, raw = time.monotonic(), b""
        for byte in request:
            try:
                connection.send(bytes([byte]))
                raw = connection.recv(65536)
                break
            except TimeoutError:
                continue
            except OSError:
                break
    assert parse(raw, started).code == "request_timeout"
    assert time.monotonic() - started < 6


def test_a_connection_without_a_request_is_closed(server: Server) -> None:
    started = time.monotonic()
    with connect(server) as connection:
        assert receive(connection) == b""
    assert 0.9 <= time.monotonic() - started < 6


def test_an_idle_connection_is_kept_for_a_while(server: Server) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n")
            raw = connection.recv(65536)
            while not raw.endswith(b'{"status":"ok"}'):
                raw += connection.recv(65536)
            assert raw.startswith(b"HTTP/1.1 200")
            time.sleep(1.3)  # longer than the timeout of a head
        started = time.monotonic()
        assert receive(connection) == b""
        assert time.monotonic() - started < 6


def post(length: int) -> bytes:
    return b"POST /api/auth/login HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n" % (
        length, HOST,
    )  # fmt: skip


@pytest.mark.parametrize("start", [post(100), post(100) + b'{"email"'])
def test_an_incomplete_body_is_408(server: Server, start: bytes) -> None:
    answer = send(server, start)
    assert (answer.status, answer.code) == (408, "request_timeout")
    assert 1 <= answer.seconds < 6


def test_a_slow_body_is_accepted_while_bytes_arrive(server: Server) -> None:
    body = b" " * 7_000
    answer = send(server, post(len(body)), *split(body, 10), pause=0.5)
    assert answer.status == 422 or answer.status == 400
    assert answer.seconds > 4


def authorized(path: bytes, headers: bytes, kind: bytes = b"application/json") -> bytes:
    token = make_token("guard").encode()
    head = b"POST %b HTTP/1.1\r\nContent-Type: %b\r\nAuthorization: Bearer %b\r\n%b%b\r\n"
    return head % (path, kind, token, HOST, headers)


UPLOADS = [(b"/api/me/tasks", b"application/json"), (b"/api/me/import", b"text/csv")]


@pytest.mark.parametrize(("path", "kind"), UPLOADS)
def test_a_body_that_stops_arriving_is_408(patient: Server, path: bytes, kind: bytes) -> None:
    answer = send(patient, authorized(path, b"Content-Length: 600000\r\n", kind) + b" " * 500_000)
    assert (answer.status, answer.code) == (408, "request_timeout")
    assert 1 <= answer.seconds < 6


@pytest.mark.parametrize(("path", "kind"), UPLOADS)
def test_a_body_that_slows_to_a_trickle_is_408(server: Server, path: bytes, kind: bytes) -> None:
    started = time.monotonic()
    with connect(server) as connection:
        connection.sendall(authorized(path, b"Content-Length: 600000\r\n", kind) + b" " * 500_000)
        connection.settimeout(0.3)
        raw = b""
        while not raw and time.monotonic() - started < 10:
            connection.sendall(b" ")
            with suppress(TimeoutError):
                raw = connection.recv(65536)
    assert parse(raw, started).code == "request_timeout"
    assert time.monotonic() - started < 6


def test_the_oldest_unfinished_body_is_dropped_when_they_exceed_the_limit(patient: Server) -> None:
    """Four of 19 MB are more than 64 MB."""
    started = time.monotonic()
    with ExitStack() as stack:
        hoarders = [stack.enter_context(connect(patient)) for _ in range(4)]
        for hoarder in hoarders:
            hoarder.sendall(authorized(b"/api/me/tasks", b"Content-Length: 19999999\r\n"))
            hoarder.sendall(b" " * 19_000_000)
        oldest = parse(hoarders[0].recv(65536), started)
        assert (oldest.status, json.loads(oldest.body)["code"]) == (503, "too_many_bodies")
        assert int(oldest.headers["retry-after"]) >= 1
        newcomer = stack.enter_context(connect(patient))
        newcomer.sendall(authorized(b"/api/me/tasks", b"Transfer-Encoding: chunked\r\n") + b'b\r\n{"title":"x\r\n')
        time.sleep(0.3)
        newcomer.sendall(b'2\r\n"}\r\n0\r\n\r\n')
        assert newcomer.recv(65536).startswith(b"HTTP/1.1 201")
        hoarders[-1].settimeout(0.1)
        with pytest.raises(TimeoutError):
            hoarders[-1].recv(65536)


def test_trailers_are_not_read_as_headers(server: Server) -> None:
    head = b"POST /api/me/tasks HTTP/1.1\r\nContent-Type: application/json\r\nConnection: close\r\n" + HOST
    body = b'Transfer-Encoding: chunked\r\n\r\nd\r\n{"title":"x"}\r\n0\r\n'
    trailer = b"Authorization: Bearer %b\r\n\r\n" % make_token("guard").encode()
    assert send_raw(server, head + trailer[:-2] + body + b"\r\n").startswith(b"HTTP/1.1 201")
    assert send_raw(server, head + body + trailer).startswith(b"HTTP/1.1 401")


@pytest.mark.parametrize("trailers", [b"0\r\nX-A: " + b"x" * 400_000, b"0\r\n" + b"a:\r\n" * 200, b"0" * 400_000])
def test_trailers_and_chunk_framing_are_bounded(patient: Server, trailers: bytes) -> None:
    head = authorized(b"/api/me/tasks", b"Transfer-Encoding: chunked\r\n")
    with connect(patient) as connection:
        connection.sendall(head + b'd\r\n{"title":"x"}\r\n')
        time.sleep(0.1)
        with suppress(OSError):
            for piece in split(trailers, 20):
                connection.sendall(piece)
                time.sleep(0.01)
        raw = receive(connection)
    assert not raw or parse(raw, 0).status in {400, 431}
    assert b"HTTP/1.1 408" not in raw


def test_a_body_that_is_not_read_ends_the_connection(server: Server) -> None:
    started = time.monotonic()
    with connect(server) as connection:
        connection.sendall(b"POST /api/me/tasks HTTP/1.1\r\nContent-Length: 1000000000\r\n" + HOST + b"\r\n")
        assert connection.recv(65536).startswith(b"HTTP/1.1 401")
        with suppress(OSError):
            while time.monotonic() - started < 10:
                connection.sendall(b"x" * 4096)
                time.sleep(0.05)
    assert time.monotonic() - started < 8


def test_a_streamed_body_is_413_once_it_exceeds_the_limit(server: Server) -> None:
    token = make_token("guard").encode()
    head = b"POST /api/me/tasks HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: Bearer %b\r\n" % token
    with connect(server) as connection:
        connection.sendall(head + b"Transfer-Encoding: chunked\r\n" + HOST + b"\r\n")
        sent = 0
        connection.settimeout(0.02)
        raw = b""
        while not raw and sent < 5_000_000:
            connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")
            sent += 65536
            try:
                raw = connection.recv(65536)
            except TimeoutError:
                continue
    assert raw.startswith(b"HTTP/1.1 413")
    assert sent < 4_000_000


def test_pipelined_requests_are_served_up_to_a_limit(server: Server) -> None:
    one = b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n"
    raw = send_raw(server, one * 20 + get())
    assert raw.count(b"HTTP/1.1 200") == 21
    raw = send_raw(server, one * 3000)
    assert 1 <= raw.count(b"HTTP/1.1 200") <= 40


def send_raw(server: Server, request: bytes) -> bytes:
    with connect(server) as connection:
        with suppress(OSError):
            connection.sendall(request)
        return receive(connection)


def named(number: int, path: bytes = b"/health") -> bytes:
    """Returns a request whose response can be told apart from others."""
    return b"GET %b HTTP/1.1\r\nX-Request-ID: good-%d\r\n%b\r\n" % (path, number, HOST)


@pytest.mark.parametrize(
    ("good", "refused", "code"),
    [
        (1, b"GET / HTTP/1.1\r\n\r\n", "bad_host"),
        (2, b"\x16\x03\x01\r\n\r\n", "malformed_request"),
        (1, get(headers=HOST + b"X-A: %b\r\n" % (b"x" * 20_000)), "headers_too_large"),
        (33, b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n", "too_many_pipelined"),
        (3, b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n" + HOST + b"\r\nnone\r\n", "malformed_request"),
        (2, authorized(b"/api/me/tasks", b"Content-Length: 50\r\n") + b"{", "request_timeout"),
    ],
)
def test_requests_before_a_refused_one_are_served_first(patient: Server, good: int, refused: bytes, code: str) -> None:
    started = time.monotonic()
    requests = [named(number, b"/ready" if number == 0 else b"/health") for number in range(good)]
    raw = send_raw(patient, b"".join(requests) + refused)
    responses = [b"HTTP/1.1 " + response for response in raw.split(b"HTTP/1.1 ")[1:]]
    answers = [parse(response, started) for response in responses]
    assert [answer.status for answer in answers[:-1]] == [200] * good
    assert [answer.headers["x-request-id"] for answer in answers[:-1]] == [f"good-{n}" for n in range(good)]
    assert answers[-1].code == code
    assert time.monotonic() - started < 6  # KEEP_ALIVE is 75


@pytest.mark.parametrize("last", [get(b"/openapi.json"), b"GET / HTTP/1.1\r\n\r\n"])
def test_a_client_that_reads_no_response_is_disconnected(server: Server, last: bytes) -> None:
    """On the last response of a connection and before: its response and its slot are not held for ever."""
    request = b"GET /openapi.json HTTP/1.1\r\n%b\r\n" % HOST
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request * 30 + last)
        mine = connection.getsockname()
        time.sleep(0.5)
        assert mine in clients(server)
        time.sleep(6)
        assert mine not in clients(server)


def clients(server: Server) -> list[tuple[str, int]]:
    """Returns the peers of the connections that the service holds."""
    assert server.process is not None
    return [tuple(each.raddr) for each in psutil.Process(server.process.pid).net_connections() if each.raddr]  # type: ignore[misc]


def test_a_client_that_reads_slowly_receives_the_whole_response(server: Server) -> None:
    request = b"GET /openapi.json HTTP/1.1\r\n%b\r\n" % HOST
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.settimeout(20)
        connection.connect(("127.0.0.1", server.port))
        connection.sendall(request * 30 + get(b"/openapi.json"))
        size, began = 0, time.monotonic()
        while time.monotonic() - began < 5:
            size += len(connection.recv(65_536))
            time.sleep(0.05)
        while part := connection.recv(65_536):
            size += len(part)
    assert size > 31 * len(httpx.get(f"{server.url}/openapi.json", trust_env=False).content)


def test_empty_lines_do_not_keep_a_connection_open(server: Server) -> None:
    for before, wanted in ((b"", 0), (b"GET /health HTTP/1.1\r\n" + HOST + b"\r\n", 1)):
        started = time.monotonic()
        with connect(server) as connection:
            connection.sendall(before)
            time.sleep(0.5)
            connection.sendall(b"\r\n")
            raw = receive(connection)
        assert raw.count(b"HTTP/1.1 200") == wanted
        assert raw.count(b"HTTP/1.1 408") == 1
        assert time.monotonic() - started < 6
    assert send(server, b"\r\n" * 20_000).code == "headers_too_large"


def test_headers_are_counted_before_the_head_is_complete(patient: Server) -> None:
    answer = send(patient, b"GET / HTTP/1.1\r\n", b"a:\r\n" * 200, pause=0.1)
    assert answer.code == "headers_too_large"
    assert answer.seconds < 3


def test_idle_connections_are_closed_to_make_room_for_requests(server: Server) -> None:
    with ExitStack() as stack:
        silent = [stack.enter_context(connect(server)) for _ in range(3 * ROOM)]
        for connection in silent[2 * ROOM :]:
            connection.sendall(b"GET /health HT")
        for _ in range(20):
            assert send(server, get()).status == 200


def test_a_new_connection_is_503_when_all_connections_are_busy(server: Server) -> None:
    time.sleep(2.5)  # the connections of the test before are closed
    started = time.monotonic()
    with ExitStack() as stack:
        for number in range(ROOM + 5):
            connection = stack.enter_context(connect(server))
            token = make_token(f"guard-{number % 9}").encode()
            connection.sendall(b"GET /api/me/events HTTP/1.1\r\nAuthorization: Bearer %b\r\n" % token + HOST + b"\r\n")
            raw = connection.recv(65536)
            if number < ROOM:
                assert raw.startswith(b"HTTP/1.1 200"), number
            else:
                answer = parse(raw + receive(connection), started)
                assert (answer.status, answer.code) == (503, "too_many_connections")
                assert int(answer.headers["retry-after"]) >= 1


async def measure(url: str, rounds: int) -> list[float]:
    async with httpx.AsyncClient(base_url=url, trust_env=False, timeout=10) as client:
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            assert (await client.get("/health")).status_code == 200
            seconds.append(time.perf_counter() - started)
        return seconds


def p95(seconds: list[float]) -> float:
    return statistics.quantiles(seconds, n=20)[-1]


async def trickle(port: int, sockets: int) -> None:
    """Opens ``sockets``, again when they are closed, and sends a byte of a head on each from time to time."""
    loop = asyncio.get_running_loop()

    async def one() -> None:
        while True:
            with socket.socket() as connection, suppress(OSError):
                connection.setblocking(False)
                await loop.sock_connect(connection, ("127.0.0.1", port))
                for byte in b"GET /health HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: b\r\n" * 100:
                    await loop.sock_sendall(connection, bytes([byte]))
                    await asyncio.sleep(0.5)
            await asyncio.sleep(0.5)

    await asyncio.gather(*(one() for _ in range(sockets)))


async def test_many_slow_clients_hardly_delay_other_requests(postgres: ConnectOptions, migrated: str) -> None:
    """Shortened, with a generous bound; bench/slowloris.py measures it."""
    with running(postgres.dsn, RATE_LIMIT_ANONYMOUS_PER_MINUTE="0") as server:
        await measure(server.url, 100)
        quiet = p95(await measure(server.url, 300))
        crowd = asyncio.create_task(trickle(server.port, 300))
        await asyncio.sleep(2)
        busy = p95(await measure(server.url, 300))
        crowd.cancel()
        await asyncio.gather(crowd, return_exceptions=True)
    assert busy < max(10 * quiet, 0.1), (quiet, busy)
