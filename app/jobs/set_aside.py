"""Owners whose work has failed, left out for a while so that it does not stop the work of others."""

import asyncio

RETRY_SECONDS = 60.0  # seconds after which the work of an owner is tried again


class SetAside:
    """The owners that one job leaves out."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}  # by the clock of the event loop

    def owners(self) -> list[str]:
        """Returns those that are still left out, and forgets the others."""
        time = asyncio.get_running_loop().time()
        self._until = {owner: turn for owner, turn in self._until.items() if turn > time}
        return list(self._until)

    def add(self, owner: str) -> None:
        """Leaves ``owner`` out for ``RETRY_SECONDS``."""
        self._until[owner] = asyncio.get_running_loop().time() + RETRY_SECONDS
