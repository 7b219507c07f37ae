"""Sends requests one after the other, and checks all the time whether the service still serves others."""

import contextlib
import http.client
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

import psutil

from tests.faults.worst_requests import Case, Headers
from tests.servers import Server

HEALTH_WITHIN = 0.25  # seconds
ANSWER_WITHIN = 5.0
ANSWER_MAX = 65_536  # bytes
KEPT_BYTES = 65_536
PAUSE = 0.01
MEASURED_AGAIN = 5  # times that a delay is measured again: one caused by the machine does not recur
GIVEN_UP = 12  # restarts within one list of cases


class Answer(NamedTuple):
    """A response. ``status`` is 0 without one."""

    status: int
    size: int
    body: bytes  # its beginning and its end
    sent_at: float
    ended_at: float


class Finding(NamedTuple):
    case: Case
    status: int
    size: int
    seconds: float
    pause: float
    what: str

    def __str__(self) -> str:
        token = "with" if self.case.signed_in else "without"
        return (
            f"{self.case.place}: {self.case.kind} ({token} a token): {self.what}; status {self.status}, "
            f"{self.size} bytes in {self.seconds:.2f} s, /health waited {self.pause:.2f} s"
        )


class Prober:
    """Requests GET /health on a connection of its own, every ``PAUSE`` seconds, from a thread."""

    def __init__(self, port: int) -> None:
        self.samples: list[tuple[float, float]] = []  # time of the request, time of the response
        self._port, self._ending = port, threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._ending.set()
        self._thread.join(ANSWER_WITHIN)

    def _work(self) -> None:
        while not self._ending.is_set():
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port), 60) as connection:
                while not self._ending.wait(PAUSE):
                    asked = time.monotonic()
                    connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
                    try:
                        good = connection.recv(65536).startswith(b"HTTP/1.1 200")
                    finally:
                        self.samples.append((asked, time.monotonic()))
                    if not good:
                        break
            self._ending.wait(PAUSE)

    def settle(self) -> None:
        """Waits for a sample that starts now."""
        began = time.monotonic()
        while not any(asked >= began for asked, _ in self.samples[-3:]) and time.monotonic() < began + ANSWER_WITHIN:
            time.sleep(PAUSE)

    def longest(self, since: float, until: float) -> float:
        """Returns the longest time to a response, of the samples that overlap."""
        return max((end - start for start, end in self.samples if start < until and end > since), default=0.0)


def exchange(port: int, method: str, case: Case, headers: Headers, patience: float) -> Answer:
    """Sends one request on a connection of its own."""
    body = b"".join(case.body or ())
    names = {name.lower() for name, _ in case.headers}
    lines = [(b"Host", b"localhost"), *headers, *case.headers]
    if case.body is not None and not names & {b"content-length", b"transfer-encoding"}:
        lines.append((b"Content-Length", b"%d" % len(body)))
    head = b"".join(b"%b: %b\r\n" % line for line in lines)
    raw = b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method.encode(), case.target, head, body)
    sent_at = time.monotonic()
    status = size = 0
    begun = b""
    with (
        contextlib.suppress(OSError, http.client.HTTPException),
        socket.create_connection(("127.0.0.1", port), patience) as connection,
    ):
        with contextlib.suppress(ConnectionError):
            connection.sendall(raw)
        response = http.client.HTTPResponse(connection, method=method)
        response.begin()
        if (response.getheader("content-type") or "").startswith("text/event-stream"):
            return Answer(response.status, 0, b"", sent_at, time.monotonic())
        while part := response.read(65536):
            begun, size = begun[:KEPT_BYTES] + part[-KEPT_BYTES:], size + len(part)
        status = response.status
    return Answer(status, size, begun, sent_at, time.monotonic())


Judge = Callable[[Case, Answer], str]


def judge(case: Case, answer: Answer) -> str:
    """Returns what is wrong with a response; an empty text when it is right."""
    if answer.status == 0:
        return "no answer"
    if answer.status >= 500 and not _is_off(answer):
        return "an error of the service"
    if case.refused and not 400 <= answer.status < 500:
        return "accepted"
    if case.refused and answer.status == 429:
        return "counted before it was looked at"
    if case.signed_in and _is_out(answer):
        return "the token was not good"
    if answer.size > ANSWER_MAX:
        return "a long answer"
    return ""


def _is_out(answer: Answer) -> bool:
    """Returns whether the token is invalid: a wrong password is 401 also."""
    return answer.status == 401 and (b'"code":"token_' in answer.body or b'"code":"session_' in answer.body)


def _is_off(answer: Answer) -> bool:
    """Returns whether the route is disabled: these tests have no model, and only valid requests get that response."""
    return b'"chat_not_configured"' in answer.body


class Survey:
    """Sends cases to ``server``, and restarts it when it does not recover."""

    def __init__(self, server: Server, prober: Prober, *, answer_within: float = ANSWER_WITHIN) -> None:
        self.server, self.prober = server, prober
        self._within = answer_within
        self.sent = 0
        self.restarts = 0
        self.rss_at_start = self.rss()
        self.costs: list[tuple[float, str]] = []  # seconds of CPU
        self.headers: Headers = ()  # of the logged-in user
        self.sign_in: Callable[[], object] | None = None  # again, when a case has ended the session or the service

    def rss(self) -> int:
        assert self.server.process is not None
        return int(psutil.Process(self.server.process.pid).memory_info().rss)

    def run(self, method: str, cases: Iterable[Case], judged: Judge = judge) -> list[Finding]:
        """Returns the findings. After ``GIVEN_UP`` restarts the rest is skipped, and one finding reports it."""
        asked: list[tuple[Case, Answer]] = []
        findings: list[Finding] = []
        restarts = self.restarts
        for case in cases:
            if self.restarts - restarts >= GIVEN_UP:
                findings.append(Finding(case, 0, 0, 0, 0, "not sent: the service was stopped too often before"))
                break
            answer = self._send(method, case)
            if self.sign_in and (answer.status == 0 or (case.signed_in and _is_out(answer))):
                self.sign_in()
                answer = answer if answer.status == 0 else self._send(method, case)
            asked.append((case, answer))
            if wrong := judged(case, answer):
                findings.append(_finding(case, answer, self.prober.longest(*answer[3:]), wrong))
        self.prober.settle()
        known = {id(finding.case) for finding in findings}
        for case, answer in self._slow(asked):
            if id(case) not in known:
                findings += self._again(method, case, answer)
        return findings

    def _send(self, method: str, case: Case) -> Answer:
        assert self.server.process is not None
        self.sent += 1
        process = psutil.Process(self.server.process.pid)
        before = sum(process.cpu_times()[:2])
        patience = case.patience or self._within
        answer = exchange(self.server.port, method, case, self.headers if case.signed_in else (), patience)
        if answer.status == 0 and answer.ended_at - answer.sent_at >= patience:
            self.restart()
        else:
            self.costs.append((sum(process.cpu_times()[:2]) - before, f"{method} {case.place}: {case.kind}"))
        return answer

    def restart(self) -> None:
        assert self.server.process is not None
        self.server.process.send_signal(signal.SIGKILL)
        self.server.start()
        self.restarts += 1
        self.rss_at_start = self.rss()

    def _slow(self, asked: list[tuple[Case, Answer]]) -> list[tuple[Case, Answer]]:
        """Returns the cases during which /health waited too long; of several concurrent ones the longest."""
        found: dict[int, tuple[Case, Answer]] = {}
        for start, end in self.prober.samples:
            if end - start > HEALTH_WITHIN:
                overlaps = [(min(end, a.ended_at) - max(start, a.sent_at), n) for n, (_, a) in enumerate(asked)]
                longest, number = max(overlaps, default=(0.0, 0))
                if longest > 0:
                    found[number] = asked[number]
        return list(found.values())

    def _again(self, method: str, case: Case, answer: Answer) -> list[Finding]:
        pause = self.prober.longest(answer.sent_at, answer.ended_at)
        for _ in range(MEASURED_AGAIN):
            answer = self._send(method, case)
            self.prober.settle()
            pause = min(pause, self.prober.longest(answer.sent_at, answer.ended_at))
            if pause <= HEALTH_WITHIN:
                return []
        return [_finding(case, answer, pause, "a pause")]


def _finding(case: Case, answer: Answer, pause: float, what: str) -> Finding:
    return Finding(case, answer.status, answer.size, answer.ended_at - answer.sent_at, pause, what)
