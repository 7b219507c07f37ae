"""Starts an embedded PostgreSQL again that ended without being told to.

A backend that is killed PostgreSQL deals with itself. When its postmaster is, or gives up (a full disk while it writes
its log), each process that uses it tries until it is back, and one of them starts it. In a thread: the loop of a
process that has workers stands still, and starting is blocking work.
"""

import logging
import threading
from collections.abc import Callable

log = logging.getLogger(__name__)

LOOK_EVERY = 0.25  # seconds
FIRST_PAUSE, LONGEST_PAUSE = 0.1, 1.0  # seconds between attempts: whatever prevents it may go away by itself


class Supervisor:
    """Watches from ``start`` to ``stop``."""

    def __init__(self, alive: Callable[[], bool], revive: Callable[[], bool]) -> None:
        """``revive`` returns whether it is this process that started it again; it raises OSError when it could not."""
        self._alive, self._revive = alive, revive
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="postgres-supervisor", daemon=True)

    @property
    def stopped(self) -> bool:
        return self._stopped.is_set()

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Afterwards nothing is started any more."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()

    def _watch(self) -> None:
        while not self._stopped.wait(LOOK_EVERY):
            if not self._alive():
                self._bring_back()

    def _bring_back(self) -> None:
        """Until it is back, or nobody wants it any more. Says so once, however many attempts it takes."""
        said, pause = "", FIRST_PAUSE
        while not self.stopped:
            try:
                if self._revive():
                    log.error("PostgreSQL had ended by itself: it was started again")
                return
            except BlockingIOError:  # another process is at it
                pass
            except OSError as error:
                if str(error) != said and not self.stopped:
                    said = str(error)
                    log.error("PostgreSQL ended by itself and does not start: %s", said)
            self._stopped.wait(pause)
            pause = min(LONGEST_PAUSE, pause * 2)
