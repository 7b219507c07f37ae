"""Imports of modules that need the ``assistant`` extra. A service without it does not pay for them."""

import asyncio
from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import Any

from app.errors import AssistantNotInstalled

ASSISTANT_LIBRARIES = {"mcp", "mcp_types", "httpx2"}


def load_mcp_server() -> Any:
    """Imports ``app.assistant.mcp.server``; 0.3 s of CPU the first time. Raises AssistantNotInstalled."""
    try:
        from app.assistant.mcp import server
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    return server


@cache
def is_model_installed() -> bool:
    """Returns whether ``load_model`` finds what it needs."""
    return find_spec("httpx2") is not None


def load_model() -> Any:
    """Imports ``app.assistant.model.client``. Raises AssistantNotInstalled."""
    try:
        from app.assistant.model import client
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    return client


def load_mcp_proxy() -> Any:
    """Imports ``app.assistant.mcp.stdio_proxy``. Raises AssistantNotInstalled."""
    try:
        from app.assistant.mcp import stdio_proxy
    except ModuleNotFoundError as error:
        raise _missing(error) from None
    return stdio_proxy


def _missing(error: ModuleNotFoundError) -> Exception:
    return AssistantNotInstalled() if (error.name or "").partition(".")[0] in ASSISTANT_LIBRARIES else error


async def load_in_thread(load: Callable[[], Any]) -> Any:
    """Loads a module in a thread, so that requests are served at the same time. Raises AssistantNotInstalled."""
    return await asyncio.to_thread(load)
