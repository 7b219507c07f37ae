"""Connected apps: the list with their last use, and disconnecting one, in every process."""

import time
from typing import Any

import anyio
import httpx
import pytest

from tests.accounts.conftest import Start
from tests.accounts.support import Visitor
from tests.oauth.flow import agent_at
from tests.oauth.support import APP, make_grant
from tests.oauth.test_flow import BASE
from tests.support import assert_problem

SERVICE = APP._replace(resource="http://test")
PROMISE = 5.0  # seconds


async def test_apps_are_listed_with_their_last_use(ann: Visitor, sql: Any) -> None:
    assert (await ann.get("/api/auth/apps")).json() == []
    token = await make_grant(ann, sql, SERVICE)
    await make_grant(ann, sql, APP._replace(client_id="todo_app_x", client_name="Other", scope="read"))
    await sql.execute(
        "update sessions set last_used_at = now() - interval '2 days' where user_id = $1 and client_id is not null",
        ann.id,
    )
    assert await ann.is_in(token)
    used, other = (await ann.get("/api/auth/apps")).json()
    assert (used["name"], used["host"], used["scope"], used["resource"]) == (
        "Example App", "app.example", "write", "http://test",
    )  # fmt: skip
    assert (other["name"], other["host"], other["scope"]) == ("Other", "", "read")
    assert used["last_used_at"] > other["last_used_at"]
    assert used.keys() == other.keys()
    assert "user_id" not in used
    exported = (await ann.get("/api/auth/me/export")).json()["apps"]
    assert {app["id"] for app in exported} == {used["id"], other["id"]}


async def test_an_ended_app_is_not_listed(ann: Visitor, sql: Any) -> None:
    for column in ("ended_at", "idle_ends_at", "ends_at"):
        await make_grant(ann, sql, SERVICE)
        await sql.execute(f"update sessions set {column} = now() where user_id = $1 and client_id is not null", ann.id)
        assert (await ann.get("/api/auth/apps")).json() == []


async def test_a_user_disconnects_one_app(ann: Visitor, sql: Any) -> None:
    stays = await make_grant(ann, sql, SERVICE)
    (kept,) = (await ann.get("/api/auth/apps")).json()
    goes = await make_grant(ann, sql, SERVICE)
    found = (await ann.get("/api/auth/apps")).json()
    (other,) = (app["id"] for app in found if app["id"] != kept["id"])
    assert await ann.is_in(goes)
    stranger = await Visitor(ann.client).register()
    assert (await stranger.get("/api/auth/apps")).json() == []
    assert_problem(await stranger.call("DELETE", f"/api/auth/apps/{other}"), 404, "app_not_found")
    assert (await ann.call("DELETE", f"/api/auth/apps/{other}")).status_code == 204
    assert_problem(await ann.get("/api/me/tasks", token=goes), 401, "session_ended")
    assert_problem(await ann.call("DELETE", f"/api/auth/apps/{other}"), 404, "app_not_found")
    assert await ann.is_in(stays)
    assert await ann.is_in()


async def test_a_login_is_no_app(ann: Visitor) -> None:
    (login,) = (await ann.get("/api/auth/sessions")).json()
    for name in (login["id"], "1", "x" * 200):
        assert_problem(await ann.call("DELETE", f"/api/auth/apps/{name}"), 404, "app_not_found")
    assert await ann.is_in()


@pytest.mark.slow
async def test_a_disconnected_app_is_refused_within_5_seconds_in_every_process(start: Start) -> None:
    here = await start(public_url=BASE, base_url=BASE)
    eve = await Visitor(here).register()
    agent = await agent_at(here, BASE)
    pair = await agent.connect(eve)
    agent.client = elsewhere = await start(public_url=BASE, base_url=BASE)
    assert isinstance(elsewhere, httpx.AsyncClient)
    assert (await agent.call(pair["access_token"])).status_code == 200
    (app,) = (await eve.get("/api/auth/apps")).json()
    assert (await eve.call("DELETE", f"/api/auth/apps/{app['id']}")).status_code == 204
    started = time.monotonic()
    while (await agent.call(pair["access_token"])).status_code == 200:  # used all the time, as by a busy agent
        assert time.monotonic() - started < PROMISE
        await anyio.sleep(0.05)
    assert (await agent.refresh(pair["refresh_token"])).json()["error"] == "invalid_grant"
