"""Deleting an account deletes every row of it, and an export contains them."""

import logging
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.jobs import retention
from app.services.accounts import erasure, export
from app.services.changes.entities import ENTITY_REGISTRY, OTHER_TABLES
from app.services.operations.isolation_check import verify_isolation
from app.services.retention import trash
from app.services.tasks import reminders
from tests.accounts.conftest import Start
from tests.accounts.support import PASSWORD, Visitor, settled
from tests.entity_samples import SAMPLES, make_sample
from tests.support import Person, assert_problem, make_token

COLUMNS = """
    select table_name, column_name from information_schema.columns
    where table_schema = 'public' and data_type in ('text', 'jsonb') and table_name <> 'alembic_version'
"""


async def tables_containing(sql: Any, value: str) -> set[str]:
    """Returns the tables with a row in which any text equals or contains ``value``."""
    return {
        row["table_name"]
        for row in await sql.fetch(COLUMNS)
        if await sql.fetchval(
            f"select count(*) from {row['table_name']} where strpos({row['column_name']}::text, $1) > 0", value
        )
    }


async def with_user_data(visitor: Visitor) -> Visitor:
    """Creates rows of a user over HTTP in the tables that requests write."""
    await visitor.register(name="Ann")
    task = (await visitor.call("POST", "/api/me/tasks", {"title": "secret plan", "tags": ["x"]})).json()
    await visitor.call("PATCH", f"/api/me/tasks/{task['id']}", {"title": "new plan"})
    await visitor.call("POST", "/api/me/tasks", {"title": "gone"})
    await visitor.call("DELETE", f"/api/me/tasks/{task['id'] + 1}")
    await visitor.api_token()
    visitor.take(await visitor.refresh())
    await visitor.login(password="a wrong guess")
    return visitor


# Rows that only jobs, the assistant and its model create.
INDIRECT_ROWS = (
    "insert into conversations (user_id, title, version) values ($1, 'x', 1)",
    "insert into messages (user_id, conversation_id, role, content, version) select $1, id, 'user', 'x', 1"
    " from conversations where user_id = $1",
    "insert into agent_writes (user_id, source, revision) values ($1, 'mcp', 1)",
    "insert into token_use (user_id, day, tokens) values ($1, '2026-01-01', 1)",
    "insert into webhook_deliveries (user_id, webhook_id, message_id, event, attempt, latency_ms)"
    " select $1, id, 'x', 'task.created', 1, 1 from webhooks where user_id = $1",
    "insert into deliveries (user_id, channel_id, target, kind, due_at) select $1, id, 'x', 'test', now() from channels"
    " where user_id = $1",
    "insert into oauth_codes (user_id, code_hash, client_id, client_name, redirect_uri, scope, resource, challenge,"
    " expires_at) values ($1, '', 'x', 'x', 'x', 'read', 'x', 'x', now())",
    "insert into oidc_links (user_id, id, provider, issuer, subject) values ($1, 'x', 'x', 'x', $1)",
    "insert into totp_secrets (user_id, secret) values ($1, '')",
    "insert into recovery_codes (user_id, code_hash) values ($1, '')",
    "insert into login_challenges (user_id, challenge_hash, expires_at) values ($1, '', now())",
    "insert into passkeys (user_id, id, credential_id, public_key, sign_count, name) values ($1, 'x', '', '', 0, 'x')",
    "update sessions set second_factor_at = now() where user_id = $1",  # which an account with a passkey needs
    "insert into email_changes (user_id, email, token_hash, expires_at) values ($1, 'x@example.com', '', now())",
)


async def with_rows_in_every_table(visitor: Visitor, sql: Any) -> Visitor:
    """Creates a row in every table of user data."""
    await with_user_data(visitor)
    person = Person(visitor.client, visitor.id)
    person.headers = {"Authorization": f"Bearer {visitor.access}"}
    for entity in SAMPLES:
        await make_sample(person, entity)
    await person.post("/calendar", {"name": "x"})
    await person.post("/webhooks", {"url": "https://example.com/"})
    await person.post("/tasks", {"title": "once"}, headers={"Idempotency-Key": "once"})
    for statement in INDIRECT_ROWS:
        await sql.execute(statement, visitor.id)
    return visitor


async def test_deleting_an_account_deletes_its_rows_in_every_table(
    ann: Visitor, start: Start, sql: Any, app: FastAPI
) -> None:
    http = await start(mail_to_log="on")
    eve = await with_rows_in_every_table(Visitor(http), sql)
    await http.post("/api/auth/password/forgot", json={"email": eve.email})
    await settled(http)
    tables = await tables_containing(sql, eve.id)
    registered = {entity.table.name for entity in ENTITY_REGISTRY} | {other.name for other in OTHER_TABLES}
    assert tables == {"users", *registered}
    others = {table: await sql.fetchval(f"select count(*) from {table}") for table in tables}
    mine = {
        table: await sql.fetchval(
            f"select count(*) from {table} where {'id' if table == 'users' else 'user_id'} = $1", eve.id
        )
        for table in tables
    }
    assert_problem(await eve.call("DELETE", "/api/auth/me", {"password": "wrong"}), 403, "wrong_password")
    assert_problem(await eve.call("DELETE", "/api/auth/me", {}), 422)
    assert (await eve.call("DELETE", "/api/auth/me", {"password": PASSWORD})).status_code == 204
    assert await tables_containing(sql, eve.id) == set()
    assert await tables_containing(sql, eve.email) == set()
    assert await sql.fetchval("select count(*) from login_attempts where account <> ''") == 0
    for table in tables:
        assert await sql.fetchval(f"select count(*) from {table}") == others[table] - mine[table], table
    assert await ann.is_in()
    assert (await eve.login()).status_code == 401
    await Visitor(http, eve.email).register()  # the e-mail address is free again


async def test_deleting_an_account_is_one_transaction(ann: Visitor, sql: Any) -> None:
    eve = await with_user_data(Visitor(ann.client))
    before = await tables_containing(sql, eve.id)
    await sql.execute("create table kept (user_id text references accounts); revoke all on kept from todo_eraser")
    try:
        await eve.call("DELETE", "/api/auth/me", {"password": PASSWORD})
    finally:
        await sql.execute("drop table kept")
    assert await tables_containing(sql, eve.id) == before
    assert await eve.is_in()


async def test_a_late_write_of_another_process_is_deleted_also(
    ann: Visitor, start: Start, sql: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erasure, "SECOND_ERASURE_DELAY", 0.5)
    late = Visitor(await start())
    late.access = ann.access
    assert await late.is_in()
    assert (await ann.call("DELETE", "/api/auth/me", {"password": PASSWORD})).status_code == 204
    assert (await late.call("POST", "/api/me/tasks", {"title": "still here"})).status_code == 201
    assert await tables_containing(sql, ann.id)
    await settled(ann.client)
    assert await tables_containing(sql, ann.id) == set()


async def test_the_account_export_contains_everything_except_secrets(ann: Visitor, sql: Any, app: FastAPI) -> None:
    eve = await with_user_data(Visitor(ann.client))
    await ann.call("POST", "/api/me/tasks", {"title": "of ann"})
    answer = await eve.get("/api/auth/me/export")
    assert answer.status_code == 200
    assert "attachment" in answer.headers["content-disposition"]
    found = answer.json()
    assert found.keys() >= {"exported_at", "account", "sessions", "apps", "api_tokens", "users", "tasks", "changes"}
    assert found["account"] == (await eve.get("/api/auth/me")).json()
    assert [task["title"] for task in found["tasks"]] == ["new plan", "gone"]  # including deleted tasks
    assert len(found["changes"]) == 4
    assert len(found["sessions"]) == len(found["api_tokens"]) == 1
    for secret in ("argon2", "token_hash", "password", "of ann", ann.id):
        assert secret not in answer.text


async def test_the_account_export_is_read_in_pages(ann: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    eve = await with_user_data(Visitor(ann.client))
    whole = (await eve.get("/api/auth/me/export")).json()
    monkeypatch.setattr(export, "PAGE_ROWS", 1)
    parts = (await eve.get("/api/auth/me/export")).json()
    assert parts | {"exported_at": ""} == whole | {"exported_at": ""}


async def test_no_job_recreates_the_row_of_a_deleted_user(ann: Visitor, sql: Any, app: FastAPI) -> None:
    """Jobs process lists of users that were read earlier."""
    await ann.call("POST", "/api/me/tasks", {"title": "secret plan"})
    assert (await ann.call("DELETE", "/api/auth/me", {"password": PASSWORD})).status_code == 204
    await retention.prune_user(app.state.database, ann.id, days=30)
    async with app.state.database.transaction(ann.id) as session:
        assert await trash.purge_old_trash(session, ann.id, days=1) == 0
        assert await reminders.fire_reminders(session, ann.id, [1], late=False) == 0
    assert await tables_containing(sql, ann.id) == set()


async def test_the_log_contains_no_email_address(ann: Visitor, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        await ann.login(password="wrong")
        await ann.call("PATCH", "/api/auth/me", {"email": "new" + ann.email, "current_password": PASSWORD})
        await ann.call("DELETE", "/api/auth/me", {"password": PASSWORD})
    assert {"email_changed", "account_deleted"} <= {record.message for record in caplog.records}
    for secret in (ann.email, PASSWORD, ann.access, ann.refresh_token):
        assert secret not in str([record.__dict__ for record in caplog.records])


async def test_the_account_export_contains_no_webhook_secret(ann: Visitor) -> None:
    body, keyed = {"url": "https://example.com/"}, {"Idempotency-Key": "once"}
    hook = (await ann.call("POST", "/api/me/webhooks", body, headers=keyed)).json()
    await ann.call("POST", f"/api/me/webhooks/{hook['id']}/rotate", headers={"Idempotency-Key": "twice"})
    answer = await ann.get("/api/auth/me/export")
    assert "whsec_" not in answer.text
    found = answer.json()
    assert "idempotency_keys" not in found
    assert [row["url"] for row in found["webhooks"]] == [body["url"]]
    assert not found["webhooks"][0].keys() & {"secret", "previous_secret", "lease", "leased_until"}


# What SQL, SQLAlchemy's text() and a driver might take for more than a name.
ODD_OWNERS = [
    "auth0|a:x", ":x", "did:key:z6Mk", "a::x", "a\\:x", "x:y:z", ":owner", "%(owner)s", "$1", "it's", 'say "hi"',
    "{owner}", "a--b", "/*", "ünï", "\\", "E'\\'",
]  # fmt: skip


@pytest.mark.parametrize("owner", ODD_OWNERS)
async def test_every_user_id_can_be_erased(app: FastAPI, client: httpx.AsyncClient, sql: Any, owner: str) -> None:
    other = f"{owner} too"
    for subject in (owner, other):
        headers = {"Authorization": f"Bearer {make_token(subject)}"}
        made = await client.post("/api/me/tasks", json={"title": "x"}, headers=headers)
        assert made.status_code == 201, made.text
    await erasure.erase_owner(app.state.database, owner)
    for table, column in (("users", "id"), ("tasks", "user_id"), ("changes", "user_id")):
        assert await sql.fetchval(f"select count(*) from {table} where {column} = $1", owner) == 0
        assert await sql.fetchval(f"select count(*) from {table} where {column} = $1", other) == 1


async def test_tables_of_any_name_are_erased_and_exported(ann: Visitor, sql: Any, app: FastAPI) -> None:
    """Another program's table for users in the same schema, with names that text() takes for parameters."""
    name = '"odd:table ""x"""'
    await sql.execute(
        f'create table {name} (user_id text, "key:part" int, ":x" text, primary key (user_id, "key:part"));'
        f"alter table {name} enable row level security, force row level security;"
        f"create policy own on {name} using (user_id = nullif(current_setting('app.user_id', true), ''))"
        f" with check (user_id = nullif(current_setting('app.user_id', true), ''));"
        f"grant select, insert, update, delete on {name} to todo_user"
    )
    try:
        await sql.execute(f"insert into {name} select $1, n, ':y' from generate_series(1, 3) n", ann.id)
        await verify_isolation(app.state.database)
        exported = (await ann.get("/api/auth/me/export")).json()
        assert [row[":x"] for row in exported['odd:table "x"']] == [":y"] * 3
        await erasure.erase_owner(app.state.database, ann.id)
        assert await sql.fetchval(f"select count(*) from {name}") == 0
    finally:
        await sql.execute(f"drop table {name}")
