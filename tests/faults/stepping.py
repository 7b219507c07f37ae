"""The service on a machine whose clock is set while it runs: ``uvicorn --factory tests.faults.stepping:create_app``.

The file CLOCK_STEP contains the error of the clock in seconds. Monotonic time is not affected, as on a real machine.
"""

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app import clock

FILE = Path(os.environ["CLOCK_STEP"])
true_time = time.time


def step() -> float:
    return float(FILE.read_text())


def wrong_time() -> float:
    return true_time() + step()


def wrong_now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=step())


# Before another module of the service imports the functions themselves.
time.time, clock.now = wrong_time, wrong_now

from app.main import create_app as create_app  # noqa: E402
