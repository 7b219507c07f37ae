"""The worker of the application under test, at the pace of a test."""

from typing import Any

from fastapi import FastAPI

from app.jobs.dispatcher import RetrySchedule
from app.jobs.worker import Pace, Worker

FAST = Pace(poll=0.1, prune=0.1, remind=0.2, retry=RetrySchedule(first=0.05, longest=0.2, window=0.6))
PATIENT = Pace(poll=0.1, prune=0.1, remind=0.2, retry=RetrySchedule(first=0.05, longest=0.2))  # it never gives up


def make_worker(app: FastAPI, **options: Any) -> Worker:
    """Makes a worker that calls what the application's settings open."""
    return Worker(app.state.database, app.state.channel_sender, **{"kept_days": 90, "pace": FAST, **options})
