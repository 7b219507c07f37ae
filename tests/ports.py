"""Ports that nobody else takes before they are used."""

import os
import random
import socket
from contextlib import suppress

# Of each process of a run its own, below those that the system gives to outgoing connections.
SHARE = 1_000
FIRST = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12 * SHARE


def free_port() -> int:
    while True:
        port = random.randrange(FIRST, FIRST + SHARE)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
