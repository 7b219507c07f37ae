"""``todo worker`` that is killed at one step: ``python -m tests.faults.killed_worker``.

The environment's KILLED_AT names the step. SIGKILL leaves no time for anything, as when the machine loses power.
"""

import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

from app.commands import app
from app.jobs.channel_sender import ChannelSender
from app.jobs.channels import ChannelOutbox
from app.services.channels import outbox, outcomes
from app.services.tasks import reminders

# The function at whose beginning or end it is killed.
KILL_POINTS: dict[str, tuple[Any, str, bool]] = {
    "before a reminder's messages are in the outbox": (reminders, "enqueue_reminders", False),
    "after that, before COMMIT": (reminders, "enqueue_reminders", True),
    "before a message is claimed": (outbox, "claim_deliveries", False),
    "after it is claimed, before COMMIT": (outbox, "claim_deliveries", True),
    "before it is sent": (ChannelSender, "send", False),
    "after it is sent, before its outcome is recorded": (ChannelSender, "send", True),
    "after its outcome is recorded, before COMMIT": (outcomes, "record_attempt", True),
    "after COMMIT": (ChannelOutbox, "_record", True),
}


def kill_at(step: str) -> None:
    """Replaces the function of a step by one that kills this process."""
    place, name, afterwards = KILL_POINTS[step]
    original: Callable[..., Awaitable[Any]] = getattr(place, name)

    async def killed(*values: Any, **named: Any) -> Any:
        if afterwards:
            await original(*values, **named)
        os.kill(os.getpid(), signal.SIGKILL)

    setattr(place, name, killed)


if __name__ == "__main__":
    kill_at(os.environ["KILLED_AT"])
    app(["worker"])
