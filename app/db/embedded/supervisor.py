"""Restarts an embedded PostgreSQL that ended by itself.

PostgreSQL itself recovers from a killed backend. If its postmaster is killed, or gives up (a full disk while it writes
its log), each process that uses it tries until it is back, and one of them starts it. In a thread: the event loop of a
parent process with workers is blocked, and starting is blocking work.
"""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

CHECK_INTERVAL = 0.25  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0  # seconds between attempts: the cause may disappear by itself


class Supervisor:
    """Watches from ``start`` to ``stop``."""

    def __init__(self, alive: Callable[[], bool], revive: Callable[[], bool]) -> None:
        """Calls ``revive`` when not ``alive``: it returns whether this process started it, or raises OSError."""
        self._alive, self._revive = alive, revive
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="postgres-supervisor", daemon=True)

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Stops watching: the server is not started again."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(CHECK_INTERVAL):
            if not self._alive():
                self._bring_back()

    def _bring_back(self) -> None:
        """Tries until it is back, or the supervisor is stopped. Logs each cause once."""
        logged, pause = "", FIRST_PAUSE
        while not self.stopped:
            try:
                if self._revive():
                    log.error("PostgreSQL had ended by itself: it was started again")
                return
            except BlockingIOError:  # another process is starting it
                pass
            except OSError as error:
                if str(error) != logged and not self.stopped:
                    logged = str(error)
                    log.error("PostgreSQL ended by itself and does not start: %s", logged)
            self._stopped.wait(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
