"""An OpenAI-compatible endpoint on the loopback, whose responses a test scripts, whole or as a stream."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.receivers import served

Json = dict[str, Any]


@dataclass
class Says:
    """One response of the model. ``calls`` are pairs of a tool's name and its arguments, as text or as a value."""

    text: str = ""
    calls: list[tuple[str, Any]] = field(default_factory=list)
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None  # in place of a completion; of ``pieces`` all are sent, one after the other
    pieces: list[bytes] | None = None
    delay: float = 0  # seconds before the response
    cut: bool = False  # of a stream: the connection ends in the middle
    usage: int | None = 100


Script = Callable[[Json], Says]


class Scripted:
    """The endpoint. ``asked`` are the requests it received; the script returns the response to each."""

    def __init__(self, script: Script) -> None:
        self.script, self.asked, self.waiting = script, list[Json](), 0
        self.keys: list[str | None] = []
        self.paths: list[str] = []
        self.ports: list[int] = []
        scripted = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                request = json.loads(self.rfile.read(int(self.headers["content-length"])))
                scripted.asked.append(request)
                scripted.keys.append(self.headers["authorization"])
                scripted.paths.append(self.path)
                scripted.ports.append(self.client_address[1])
                with suppress(OSError):  # the service has disconnected
                    self.answer(request, scripted.script(request))

            def answer(self, request: Json, says: Says) -> None:
                scripted.waiting += 1
                time.sleep(says.delay)
                scripted.waiting -= 1
                if says.pieces is not None:
                    self.send_pieces(says, says.pieces)
                    return
                if says.body is None and says.status == 200 and request.get("stream"):
                    self.stream(says)
                    return
                body = json.dumps(_completion(says)).encode() if says.body is None else says.body
                self.send_response(says.status)
                for name, value in {"Content-Type": "application/json", **says.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def send_pieces(self, says: Says, pieces: list[bytes]) -> None:
                """Sends a chunked body; of one that is cut, the end is missing."""
                self.send_response(says.status)
                for name, value in {"Content-Type": "text/event-stream", **says.headers}.items():
                    self.send_header(name, value)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
                    self.wfile.flush()
                if not says.cut:
                    self.wfile.write(b"0\r\n\r\n")
                self.close_connection = says.cut

            def stream(self, says: Says) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream")
                self.send_header("Connection", "close")
                self.end_headers()
                chunks = list(_chunks(says))
                for chunk in chunks[: len(chunks) // 2] if says.cut else chunks:
                    self.wfile.write(b"data: " + json.dumps(chunk).encode() + b"\n\n")
                    self.wfile.flush()
                if not says.cut:
                    self.wfile.write(b"data: [DONE]\n\n")
                self.close_connection = True

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/v1"


def _calls(says: Says) -> list[Json]:
    return [
        {
            "id": f"call_{place}",
            "type": "function",
            "function": {"name": name, "arguments": given if isinstance(given, str) else json.dumps(given)},
        }
        for place, (name, given) in enumerate(says.calls)
    ]


def _usage(says: Says) -> Json | None:
    if says.usage is None:
        return None
    return {"prompt_tokens": says.usage, "completion_tokens": 0, "total_tokens": says.usage}


def _completion(says: Says) -> Json:
    message: Json = {"role": "assistant", "content": says.text or None}
    if says.calls:
        message["tool_calls"] = _calls(says)
    reason = "tool_calls" if says.calls else "stop"
    choices = [{"index": 0, "message": message, "finish_reason": reason}]
    return {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": choices,
        "usage": _usage(says),
    }


def _chunks(says: Says) -> Iterator[Json]:
    """Yields the text in pieces, then each call with its arguments in pieces, then the finish reason, then the
    usage."""

    def chunk(delta: Json, reason: str | None = None) -> Json:
        choices = [{"index": 0, "delta": delta, "finish_reason": reason}]
        return {"id": "x", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}

    yield chunk({"role": "assistant", "content": ""})
    for start in range(0, len(says.text), 7):
        yield chunk({"content": says.text[start : start + 7]})
    for index, call in enumerate(_calls(says)):
        arguments = call["function"]["arguments"]
        yield chunk({"tool_calls": [{"index": index, **call, "function": {**call["function"], "arguments": ""}}]})
        for start in range(0, len(arguments), 9):
            piece = {"index": index, "function": {"arguments": arguments[start : start + 9]}}
            yield chunk({"tool_calls": [piece]})
    yield chunk({}, "tool_calls" if says.calls else "stop")
    yield {**chunk({}), "choices": [], "usage": _usage(says)}


@contextmanager
def scripted(script: Script) -> Iterator[Scripted]:
    model = Scripted(script)
    with served(model.server):
        yield model


def in_turn(*answers: Says) -> Script:
    """Returns a script with the given responses in turn, for any requests; the last one repeats."""
    left = list(answers)

    def script(_: Json) -> Says:
        return left.pop(0) if len(left) > 1 else left[0]

    return script


def results(request: Json) -> list[Any]:
    """Returns the results of the tools since the user's last message."""
    found: list[Any] = []
    for message in request["messages"]:
        if message["role"] == "user":
            found = []
        elif message["role"] == "tool":
            found.append(json.loads(message["content"]))
    return found


def last_user(request: Json) -> str:
    text: str = [message["content"] for message in request["messages"] if message["role"] == "user"][-1]
    return text


def helpful(request: Json) -> Says:
    """Responds like a model that understands four sentences and repeats the results of the tools."""
    if request["messages"][-1]["role"] == "tool":
        return Says(json.dumps(results(request)[-1]))
    match last_user(request).split():
        case ["add", *words]:
            title, _, rest = " ".join(words).partition(" tomorrow")
            fields = {"due_date": "2030-12-01"} | ({"priority": "high"} if "high priority" in rest else {})
            return Says(calls=[("add_task", {"title": title, **fields})])
        case ["what", "is", "open?"]:
            return Says(calls=[("list_tasks", {"status": "pending"})])
        case ["done", "with", number]:
            return Says(calls=[("complete_task", {"task_id": int(number)})])
        case ["undo", "that"]:
            return Says(calls=[("undo_last", "")])
        case ["delete", number]:
            return Says(calls=[("delete_task", {"task_id": int(number)})])
    return Says("I do not understand.")
