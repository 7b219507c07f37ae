"""The service as its users run it: a process of its own, on a free port, for a limited time."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.ports import free_port
from tests.support import make_token

TODO = Path(sys.executable).with_name("todo")
START, STOP = 60.0, 40.0  # seconds, generous: the machine may be busy


def environment(**settings: Any) -> dict[str, str]:
    """Returns the environment of the test run, which ``conftest`` has cleared of settings, with ``settings``."""
    return {**os.environ, **{name.upper(): str(value) for name, value in settings.items()}}


def run_todo(*arguments: str, cwd: Path, **settings: Any) -> "subprocess.CompletedProcess[str]":
    """Runs a command that ends by itself."""
    return subprocess.run(
        [TODO, *arguments], cwd=cwd, env=environment(**settings), capture_output=True, text=True, timeout=START
    )


def run_python(program: str, *, cwd: Path, **settings: Any) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=cwd,
        env=environment(**settings),
        capture_output=True,
        text=True,
        timeout=START,
    )


def wait_until(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


class Service:
    """Runs ``todo serve`` in ``cwd``."""

    def __init__(self, cwd: Path, command: tuple[str, ...] = (str(TODO), "serve"), **settings: Any) -> None:
        self.cwd = cwd
        self.port = settings.setdefault("port", free_port())
        self.environment = environment(**settings)
        self._out, self._err = cwd / f"out-{self.port}", cwd / f"err-{self.port}"
        with self._out.open("w") as out, self._err.open("w") as err:
            self.process = subprocess.Popen(
                command, cwd=cwd, env=self.environment, stdout=out, stderr=err, stdin=subprocess.DEVNULL
            )

    @property
    def banner(self) -> str:
        return self._out.read_text()

    @property
    def log(self) -> str:
        return self._err.read_text()

    def ready(self) -> "Service":
        """Waits for the end of the banner."""
        wait_until(lambda: "-d '{" in self.banner or self.process.poll() is not None, START)
        assert self.process.poll() is None, self.log
        return self

    def ended(self) -> int:
        """Waits for the end of the process, and returns its exit status."""
        return self.process.wait(STOP)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.ended()

    def get(self, path: str, *, host: str = "127.0.0.1", token: str = "none") -> httpx.Response:
        return httpx.get(f"http://{host}:{self.port}{path}", headers={"Authorization": f"Bearer {token}"}, timeout=5)

    def titles(self) -> list[str]:
        """Returns the titles of Alice's tasks."""
        folder = self.cwd / self.environment.get("DATA_DIR", "data")
        token = make_token("alice", secret=(folder / "jwt_secret").read_text().strip())
        answer = self.get("/api/me/tasks?sort=created_at", token=token)
        assert answer.status_code == 200, answer.text
        return [task["title"] for task in answer.json()]


@contextlib.contextmanager
def service(cwd: Path, **options: Any) -> Iterator[Service]:
    """Starts a service that is stopped whatever the outcome of the test, with its PostgreSQL."""
    running = Service(cwd, **options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.stop(signal.SIGINT)


def postgres_in(folder: Path) -> list[psutil.Process]:
    """Returns the postmaster and other processes of a PostgreSQL whose data is below ``folder``."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.name() == "postgres" and process.status() != psutil.STATUS_ZOMBIE:
                found += [process] if Path(process.cwd()).is_relative_to(folder.resolve()) else []
    return found
