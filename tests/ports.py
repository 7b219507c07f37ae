"""Ports that no other process takes before they are used."""

import os
import random
import socket
from contextlib import suppress

# A range for each process of a run, below the ports that the system uses for outgoing connections.
SHARE = 1_000
FIRST = 20_000 + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 12 * SHARE


def free_port() -> int:
    while True:
        port = random.randrange(FIRST, FIRST + SHARE)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
