"""Grants of a user to an app, without the flow that leads to one."""

import time
import uuid
from typing import Any

from fastapi import FastAPI

from app.auth.access_tokens import Grant, TokenIssuer
from tests.accounts.support import Visitor

APP = Grant("https://app.example/client.json", "Example App", "write", "http://test/mcp")


def app_of(visitor: Visitor) -> FastAPI:
    transport: Any = visitor.client._transport
    app: FastAPI = transport.app
    return app


async def make_grant(visitor: Visitor, sql: Any, grant: Grant = APP) -> str:
    """Stores a grant of ``visitor``, and returns an access token for it."""
    session_id = uuid.uuid4().hex
    await sql.execute(
        "insert into sessions (user_id, id, idle_ends_at, ends_at, client_id, client_name, scope, resource)"
        " values ($1, $2, now() + interval '1 hour', now() + interval '1 hour', $3, $4, $5, $6)",
        visitor.id, session_id, *grant,
    )  # fmt: skip
    tokens: TokenIssuer = app_of(visitor).state.auth.tokens
    return tokens.sign(visitor.id, session_id, now=int(time.time()), ttl=900, grant=grant)


async def call_mcp(visitor: Visitor, token: str, message: Any = None, **headers: str) -> Any:
    body = message or {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    named = {"Accept": "application/json, text/event-stream", "Host": "test"}
    named |= {name.replace("_", "-"): value for name, value in headers.items()}
    return await visitor.call("POST", "/mcp", body, token=token, headers=named)
