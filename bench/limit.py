"""The limit: the cost of the same guarantees in minimal code. Plain ASGI and asyncpg, no framework.

It runs the service's own statements (text, order of arguments and BEGIN are taken from it, so they cannot drift apart),
verifies tokens with the same kind of cache, has the same semaphore and pool, and sends the same headers and JSON.
It leaves out what the benchmark does not use: other routes, filters, detailed validation of bodies.
"""

import asyncio
import gc
import os
import time
from base64 import urlsafe_b64encode
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import date, datetime
from hashlib import sha256
from typing import Annotated, Any

import asyncpg
import jwt
import msgspec

from app.config import Settings
from app.db.connection_options import connect_options
from app.db.database import PREPARED_SETTINGS, quote_owner
from app.db.uuid7 import new_uuid7
from bench.statements import CREATE_ONE_TASK, GET_TASK, LIST_TASKS, READ_REVISION, TOGGLE_TASK, Statement, begin

Message = MutableMapping[str, Any]
Headers = list[tuple[bytes, bytes]]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

CACHE_SECONDS = 60
JSON_TYPE = (b"content-type", b"application/json")
CACHE_CONTROL = (b"cache-control", b"private, no-cache")
NOT_STORED = (b"cache-control", b"no-store")
VARY_ORIGIN = (b"vary", b"Origin")
NO_SNIFF = (b"x-content-type-options", b"nosniff")
NO_PAGE = (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'")
NO_REFERRER = (b"referrer-policy", b"no-referrer")
encode = msgspec.json.Encoder().encode


class Task(msgspec.Struct, frozen=True, gc=False):
    id: int
    uid: str
    user_id: str
    title: str
    description: str | None
    completed: bool
    status: str
    completed_at: datetime | None
    priority: str
    due_date: date | None
    start_date: date | None
    deadline: date | None
    estimate_minutes: int | None
    favorite: bool
    tags: list[str]
    project_id: int | None
    parent_id: int | None
    position: str
    recurrence: str | None
    recurrence_from: str
    series_id: int | None
    reminders: list[str]
    remind_at: datetime | None
    remind_channels: list[int] | None
    version: int
    created_at: datetime
    updated_at: datetime


class NewTask(msgspec.Struct, frozen=True, gc=False, forbid_unknown_fields=True):
    title: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    description: Annotated[str, msgspec.Meta(max_length=16_384)] | None = None
    completed: bool = False
    priority: Annotated[str, msgspec.Meta(pattern="^(none|low|medium|high|urgent)$")] = "medium"
    due_date: date | None = None
    tags: Annotated[list[str], msgspec.Meta(max_length=20)] = []


SHOWN_FIELDS = Task.__struct_fields__
COMPLETED_INDEX, STATUS_INDEX, DUE_INDEX, START_INDEX, VERSION_INDEX = map(
    SHOWN_FIELDS.index, ("completed", "status", "due_date", "start_date", "version")
)
# After the fields: an instant in place of the day of each of the two dates, and in a list the sort key.
DUE_AT_INDEX, START_AT_INDEX, SORT_KEY = range(len(SHOWN_FIELDS), len(SHOWN_FIELDS) + 3)
decode_task = msgspec.json.Decoder(NewTask).decode


def _task(row: Any) -> Task:
    # Columns in the order of the service's TASK_READ_COLUMNS; what follows them in a list is not part of a task.
    values = list(row[:DUE_AT_INDEX])
    if row[COMPLETED_INDEX]:
        values[STATUS_INDEX] = "completed"
    if row[DUE_AT_INDEX] is not None:
        values[DUE_INDEX] = row[DUE_AT_INDEX]
    if row[START_AT_INDEX] is not None:
        values[START_INDEX] = row[START_AT_INDEX]
    return Task(*values)


class Refused(Exception):
    """An error with the status of the response."""


class Limit:
    """The ASGI application. Its semaphore waits without a time limit, which saves a timer."""

    def __init__(self) -> None:
        settings = Settings(_env_file=None)
        assert settings.database_url is not None
        self.options = connect_options(settings.database_url.get_secret_value(), settings)
        self.size, self.secret = settings.pool_size, os.environ["JWT_SECRET"]
        self.gate = asyncio.Semaphore(self.size)
        self.pool: Any = None
        self.verified: dict[bytes, tuple[str, float]] = {}
        self.begin_read, self.begin_write = begin(read_only=True), begin(read_only=False)

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._lifespan(receive, send)
            return
        common = [(b"x-request-id", os.urandom(16).hex().encode()), NO_SNIFF, VARY_ORIGIN, NO_PAGE, NO_REFERRER]
        try:
            status, headers, body = await self._answer(scope, receive)
        except (Refused, msgspec.ValidationError) as error:
            status, headers, body = error.args[0] if isinstance(error, Refused) else 422, [JSON_TYPE, NOT_STORED], b"{}"
        if status != 304:
            headers.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": headers + common})
        await send({"type": "http.response.body", "body": body})

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        await receive()
        arguments = self.options.with_settings(PREPARED_SETTINGS).arguments()
        async with asyncpg.create_pool(min_size=1, max_size=self.size, reset=_no_reset, **arguments) as self.pool:
            gc.collect()
            gc.freeze()
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _answer(self, scope: Any, receive: Receive) -> tuple[int, Headers, bytes]:
        authorization = condition = b""
        for name, value in scope["headers"]:
            if name == b"authorization":
                authorization = value
            elif name == b"if-none-match":
                condition = value
        owner = self._owner(authorization)
        method, path = scope["method"], scope["path"]
        match path.split("/")[1:]:
            case ["api", user, "tasks", *rest] if user in (owner, "me"):
                pass
            case _:
                raise Refused(403)
        if not rest:
            if method == "POST":
                return await self._create(owner, await _read(receive))
            return await self._list(owner, path, scope["query_string"], condition)
        if len(rest) == 2:
            return await self._complete(owner, int(rest[0]))
        return await self._get(owner, int(rest[0]), condition)

    def _owner(self, authorization: bytes) -> str:
        digest = sha256(authorization).digest()
        subject, until = self.verified.get(digest, ("", 0.0))
        now = time.time()
        if now >= until:
            try:
                claims = jwt.decode(authorization[7:], self.secret, ["HS256"], options={"require": ["exp", "sub"]})
            except jwt.InvalidTokenError:
                raise Refused(401) from None
            subject = claims["sub"]
            self.verified[digest] = subject, min(claims["exp"], now + CACHE_SECONDS)
        return subject

    async def _run(self, begin: str, owner: str, statement: Statement, arguments: list[Any]) -> Any:
        """Returns the rows of one statement in one transaction: three round trips."""
        async with self.gate:
            connection = await self.pool.acquire()
            try:
                await connection.execute(begin + quote_owner(owner))
                rows = await connection.fetch(statement.sql, *arguments)
                await connection.execute("COMMIT" if rows else "ROLLBACK")
            except BaseException:
                connection.terminate()
                raise
            finally:
                await self.pool.release(connection)
        return rows

    async def _get(self, owner: str, task_id: int, condition: bytes) -> tuple[int, Headers, bytes]:
        rows = await self._run(self.begin_read, owner, GET_TASK, GET_TASK.arguments(owner=owner, task_id=task_id))
        return _one(rows, condition)

    async def _complete(self, owner: str, task_id: int) -> tuple[int, Headers, bytes]:
        arguments = TOGGLE_TASK.arguments(owner=owner, task_id=task_id)
        return _written(await self._run(self.begin_write, owner, TOGGLE_TASK, arguments))

    async def _create(self, owner: str, body: bytes) -> tuple[int, Headers, bytes]:
        new = decode_task(body)
        arguments = CREATE_ONE_TASK.arguments(
            owner=owner, uid=new_uuid7(), title=new.title.strip(), description=new.description, completed=new.completed,
            priority=new.priority, due_on=new.due_date, due_at=None, tags=new.tags,
        )  # fmt: skip
        rows = await self._run(self.begin_write, owner, CREATE_ONE_TASK, arguments)
        _, headers, answer = _written(rows)
        headers.append((b"location", f"/api/{owner}/tasks/{rows[0][0]}".encode()))
        return 201, headers, answer

    async def _list(self, owner: str, path: str, query: bytes, condition: bytes) -> tuple[int, Headers, bytes]:
        digest = sha256(owner.encode() + b"\0" + query).hexdigest()[:12]
        if condition:
            rows = await self._run(self.begin_read, owner, READ_REVISION, READ_REVISION.arguments(owner=owner))
            tag = f'W/"{rows[0][0]}-{digest}"'.encode()
            if tag in condition:
                return 304, [(b"x-revision", b"%d" % rows[0][0]), (b"etag", tag), CACHE_CONTROL], b""
        limit = int(query.removeprefix(b"limit=") or 100)
        rows = await self._run(
            self.begin_read, owner, LIST_TASKS, LIST_TASKS.arguments(owner=owner, limit=limit + 1, offset=0)
        )
        revision = rows[0][-1] if rows else 0
        link = f'<{path}?{query.decode()}>; rel="first"'
        if len(rows) > limit:
            rows.pop()
            last = f'["created_at","desc",0,"{rows[-1][SORT_KEY].isoformat()}",{rows[-1][0]},{revision}]'.encode()
            cursor = urlsafe_b64encode(last).decode().rstrip("=")
            link += f', <{path}?{query.decode()}&cursor={cursor}>; rel="next"'
        tag = f'W/"{revision}-{digest}"'.encode()
        headers = [
            (b"x-revision", b"%d" % revision),
            (b"etag", tag),
            CACHE_CONTROL,
            (b"link", link.encode()),
            JSON_TYPE,
        ]
        return 200, headers, encode([_task(row) for row in rows])


def _one(rows: Any, condition: bytes = b"") -> tuple[int, Headers, bytes]:
    if not rows:
        raise Refused(404)
    tag = b'"%d"' % rows[0][VERSION_INDEX]
    if condition and tag in condition:
        return 304, [(b"etag", tag), CACHE_CONTROL], b""
    return 200, [(b"etag", tag), CACHE_CONTROL, JSON_TYPE], encode(_task(rows[0]))


def _written(rows: Any) -> tuple[int, Headers, bytes]:
    status, headers, body = _one(rows)
    return status, [*headers, (b"x-revision", b"%d" % rows[0][VERSION_INDEX])], body


async def _read(receive: Receive) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        message = await receive()
        body += message.get("body", b"")
    return body


async def _no_reset(connection: Any) -> None:
    """Does nothing: every setting is local to a transaction, as in the service."""
