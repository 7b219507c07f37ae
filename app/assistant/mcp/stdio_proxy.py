"""``todo mcp``: the tools over standard input and output, for desktop agents that start a command.

Each request is forwarded to the service's ``/mcp`` with an API token, so that there is one entry point. Needs the
``assistant`` extra: imported by ``app.assistant.optional`` alone.
"""

from typing import Any

import httpx2
from mcp.client.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server
from mcp.shared.exceptions import MCPError
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, PaginatedRequestParams

from app.version import VERSION

PROXY_TIMEOUT = 60.0  # seconds


class CannotConnect(OSError):
    """The service cannot be used; the message has the reason and the remedy."""


async def serve_stdio(url: str, token: str) -> None:
    """Serves until standard input ends. Raises CannotConnect."""
    await _check_service(url, token)
    headers = {"Authorization": f"Bearer {token}"}
    async with (
        httpx2.AsyncClient(headers=headers, timeout=PROXY_TIMEOUT) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http)) as service,
        stdio_server() as (reading, writing),
    ):
        server = _relay(service)
        await server.run(reading, writing, server.create_initialization_options())


async def _check_service(url: str, token: str) -> None:
    """Checks the service and the token at start. Raises CannotConnect."""
    try:
        async with httpx2.AsyncClient(timeout=PROXY_TIMEOUT) as http:
            answer = await http.get(f"{url}/api/me/tasks?limit=1", headers={"Authorization": f"Bearer {token}"})
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise CannotConnect(f"cannot reach {url}: set TODO_URL ({error})") from None
    if answer.status_code != 200:
        raise CannotConnect(f"{url} responds with {answer.status_code}: set TODO_TOKEN to an API token of the service")


def _relay(service: Client) -> Server[Any]:
    async def list_tools(context: ServerRequestContext, params: PaginatedRequestParams | None) -> ListToolsResult:
        return await service.list_tools(cursor=params.cursor if params else None)

    async def call_tool(context: ServerRequestContext, params: CallToolRequestParams) -> CallToolResult:
        try:
            return await service.call_tool(params.name, params.arguments)
        except MCPError:
            raise
        except Exception as error:  # the service is unreachable; the agent may retry
            raise MCPError(-32603, f"The service did not answer: {type(error).__name__}") from None

    return Server(
        "todo",
        title="Todo",
        version=VERSION,
        instructions=service.instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
