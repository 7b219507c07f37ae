"""``todo serve``: the socket, the processes that serve it, and the banner."""

import asyncio
import multiprocessing
import multiprocessing.process
import os
import shlex
import signal
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import uvicorn
from fastapi import FastAPI
from uvicorn.config import STARTUP_FAILURE
from uvicorn.supervisors.multiprocess import Multiprocess, Process

from app.assistant.optional import is_model_installed
from app.auth.signing_keys import load_secret
from app.commands.common import host_and_port, local_url
from app.config import Settings, get_settings
from app.main import create_app
from app.observability.logs import configure_logging
from app.server.protocol import BoundedProtocol

SHUTDOWN_SECONDS = 10  # seconds for running requests when the service is stopped
WORKER_START = 30  # seconds without a heartbeat after which a worker is replaced; a start may be slow on a busy machine
LISTEN_BACKLOG = 2048
UNREAD_TIMEOUT_MS = 30_000  # milliseconds for which a client may leave sent data unread, RFC 5482


def run_server(settings: Settings, announce: Callable[[str], None]) -> int:
    """Serves until stopped; returns the exit status. Raises OSError if the address is in use."""
    signal.signal(signal.SIGTERM, _like_ctrl_c)
    # SIGHUP: the terminal was closed; nohup ignores it.
    if sys.platform != "win32" and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL:
        signal.signal(signal.SIGHUP, _like_ctrl_c)
    with _listen(settings.host, settings.port) as listener:
        config, port = _config(settings), listener.getsockname()[1]

        def ready() -> None:
            announce(_banner(settings, port))

        try:
            if settings.web_concurrency == 1:
                return _serve_alone(config, listener, ready)
            return asyncio.run(_serve_with_workers(settings, config, listener, ready))
        except KeyboardInterrupt:
            return 0  # stopped by a signal


def application() -> FastAPI:
    """Makes the application of each server process."""
    settings = get_settings()
    configure_logging(settings)
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_stop_after, args=(parent,), daemon=True).start()
    return create_app(settings)


def _stop_after(parent: multiprocessing.process.BaseProcess) -> None:
    """Stops this process after ``parent`` was killed: workers would keep the port, and the next start would fail."""
    parent.join()
    os.kill(os.getpid(), signal.SIGTERM)


def _like_ctrl_c(*_: object) -> None:
    signal.raise_signal(signal.SIGINT)


def _listen(host: str, port: int) -> socket.socket:
    """Opens the socket before all else: a port in use fails at once, and clients wait in its queue."""
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        both = family == socket.AF_INET6 and host == "::" and socket.has_dualstack_ipv6()
        listener = socket.create_server(address[:2], family=family, backlog=LISTEN_BACKLOG, dualstack_ipv6=both)
    except (socket.gaierror, UnicodeError) as error:
        raise OSError(
            f"cannot listen on {host_and_port(host, port)}: HOST is not an address of this machine"
        ) from error
    except OSError as error:
        raise OSError(
            f"cannot listen on {host_and_port(host, port)}: {os.strerror(error.errno or 0).lower()}"
        ) from error
    # Linux: accepted sockets inherit it; it also ends closed ones with unread data.
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNREAD_TIMEOUT_MS)
    listener.set_inheritable(True)
    return listener


def _config(settings: Settings) -> uvicorn.Config:
    return uvicorn.Config(
        "app.commands.serve:application",
        factory=True,
        workers=settings.web_concurrency,
        backlog=LISTEN_BACKLOG,
        http=BoundedProtocol,  # on httptools: h11 accepts Content-Length together with Transfer-Encoding
        ws="none",  # not used, and its protocol has no such bounds
        timeout_keep_alive=settings.keep_alive,
        loop="auto",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=True,
        proxy_headers=False,  # ``app.http.proxies`` reads them
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_worker_healthcheck=WORKER_START,
    )


class _Server(uvicorn.Server):
    """Announces when it accepts requests."""

    def __init__(self, config: uvicorn.Config, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._announce = announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started and not self.should_exit:
            self._announce()


def _serve_alone(config: uvicorn.Config, listener: socket.socket, announce: Callable[[], None]) -> int:
    try:
        _Server(config, announce).run([listener])
    except SystemExit:  # the log has the reason
        return 1
    return 0


class _Workers(Multiprocess):
    """Announces, once, when all of them accept requests."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, announce: Callable[[], None]) -> None:
        super().__init__(config, [listener])
        self._announce: Callable[[], None] | None = announce

    def keep_subprocess_alive(self) -> None:
        if self._announce is None:
            self._replace_unlucky()
        super().keep_subprocess_alive()
        if self._announce and not self.should_exit.is_set() and all(worker.is_ready() for worker in self.processes):
            self._announce()
            self._announce = None

    def _replace_unlucky(self) -> None:
        """Replaces workers that failed while the database was down: uvicorn would stop all workers."""
        for number, worker in enumerate(self.processes):
            if worker.exitcode == STARTUP_FAILURE:
                worker.join()
                self.processes[number] = Process(self.config, self.sockets)
                self.processes[number].start()


async def _serve_with_workers(
    settings: Settings, config: uvicorn.Config, listener: socket.socket, announce: Callable[[], None]
) -> int:
    """Runs the checks at start, then starts the workers.

    Errors are reported once, before there are workers, and PostgreSQL belongs to the process that outlives them.
    """
    parent = create_app(settings, serving=False)  # its loop will be blocked: it must not listen for notifications
    async with parent.router.lifespan_context(parent):
        workers = _Workers(config, listener, announce)
        workers.run()  # blocks this loop until the end
    return 1 if any(worker.exitcode == STARTUP_FAILURE for worker in workers.processes) else 0


def _banner(settings: Settings, port: int) -> str:
    url = local_url(settings, port)
    store = f"embedded PostgreSQL in {settings.data_dir}" if settings.embedded else "PostgreSQL of DATABASE_URL"
    lines = ["", f"  Todo     {url}   ({store})"]
    if settings.web_client:
        demo = f"   (for a demo account with tasks: {_todo_command(settings)} seed)" if settings.embedded else ""
        lines.append(f"  Client   {url}/app{demo}")
    if settings.docs:
        lines.append(f"  Docs     {url}/docs")
    lines += [
        f'  Try it   curl {url}/api/me/tasks -H "Authorization: Bearer {_token_expression(settings)}" \\',
        """             -H "Content-Type: application/json" -d '{"title": "Buy milk"}'""",
    ]
    if settings.jwt_secret is not None:
        lines.append("           (in a shell with the same JWT_SECRET)")
    if settings.llm_model and not is_model_installed():
        lines.append("  Note     LLM_MODEL is set, but the assistant is not installed: pip install -e '.[assistant]'")
    return "\n".join([*lines, ""])


def _token_expression(settings: Settings) -> str:
    """Returns a shell expression for a token that works where this process was started."""
    if load_secret(settings) is None:
        return "$TOKEN"  # only the issuer can sign one
    return f"$({_todo_command(settings)} token alice)"


def _todo_command(settings: Settings) -> str:
    """Returns how a shell calls this program for the same data."""
    called = sys.argv[0]
    todo = [called] if Path(called).stem == "todo" else [sys.executable, "-m", "app"]
    # A variable set on the command line of this process only is not in the shell.
    moved = settings.embedded and settings.data_dir != Settings.model_fields["data_dir"].default
    where = f"DATA_DIR={shlex.quote(str(settings.data_dir))} " if moved else ""
    return where + shlex.join(todo)
