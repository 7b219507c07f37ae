"""Endpoints of webhooks: real sockets on the loopback, with every kind of behaviour."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

Answer = Callable[[int], int]


class Received(NamedTuple):
    headers: dict[str, str]
    body: bytes
    at: float
    path: str

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Receiver:
    """Receives webhooks. ``answer`` maps the number of earlier calls to a status; it may take its time."""

    def __init__(self, answer: Answer) -> None:
        self.calls: list[Received] = []
        self.running = self.most = 0
        lock = threading.Lock()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                with lock:
                    receiver.running += 1
                    receiver.most = max(receiver.most, receiver.running)
                    number = len(receiver.calls)
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    receiver.calls.append(Received(headers, body, time.monotonic(), self.path))
                status = answer(number)
                with lock:
                    receiver.running -= 1
                self.send_response(status)
                if 300 <= status < 400:
                    self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *args: Any) -> None:
                pass

        class Server(ThreadingHTTPServer):
            request_queue_size = 128  # several workers connect at once

        self.server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self.server.server_address[1]
        self.server_url = f"http://127.0.0.1:{self.port}"
        self.url = f"{self.server_url}/hook"

    @property
    def ids(self) -> list[str]:
        return [call.headers["webhook-id"] for call in self.calls]


@contextmanager
def served(server: ThreadingHTTPServer) -> Iterator[int]:
    """Serves in a thread, and yields the port."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def receiving(answer: Answer = lambda _: 204) -> Iterator[Receiver]:
    receiver = Receiver(answer)
    with served(receiver.server):
        yield receiver
