"""The vocabulary of signatures: what a route needs, said in one word each."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator, WithJsonSchema

from app.auth.claims import Identity
from app.auth.opaque_tokens import API_TOKEN_PREFIX
from app.auth.token_verifier import bearer_token
from app.clock import now
from app.db.session import Session as DatabaseSession
from app.domain.user_ids import USER_ID_MAX, is_user_id
from app.errors import (
    AppError,
    CalendarTokenInvalid,
    InsufficientScope,
    KeysUnavailable,
    Kind,
    LoginRequired,
    NotFound,
    NotYourPath,
)
from app.http.openapi.texts import BEARER_DESCRIPTION
from app.http.rate_limits import Limits
from app.models.task_fields import TAG_MAX
from app.models.types import MAX_ID, cleaned
from app.net.addresses import plain_address
from app.observability.request_context import note_subject
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.revocation import Guard

ME = "me"
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    scheme_name="bearerAuth",
    description=BEARER_DESCRIPTION,
)


async def authenticate(request: Request) -> Identity:
    """Who sent the request, by a token of any kind, and alive: logins and API tokens can be ended before they expire.

    Raises the 401 facts, KeysUnavailable, and RateLimited: every entrance comes through here, so here requests are
    counted. What an API token may do is up to the caller: ``current_identity`` decides it by method.
    """
    limits: Limits = request.app.state.limits
    try:
        identity = await _verify(request, limits)
    except AppError as refused:
        if refused.kind is Kind.UNAUTHENTICATED or isinstance(refused, KeysUnavailable):  # names of keys can be made up
            limits.take_address(request.scope)
        raise
    note_subject(identity.subject)
    limits.take_subject(request.scope, identity.subject)
    return identity


async def _verify(request: Request, limits: Limits) -> Identity:
    token = bearer_token(request.headers.get("authorization"))
    if token.startswith(API_TOKEN_PREFIX):
        if not _guard(request).knows_api_token(token):
            limits.refuse_busy_address(request.scope)  # guesses cost a look into the database
        return await _guard(request).verify_api_token(token)
    verifier = request.app.state.verifier
    identity: Identity = verifier.cached(token) or await verifier.verify(token)
    if identity.session_id is not None and not _guard(request).is_fresh(identity):
        await _guard(request).check_session(identity)
    return identity


def _guard(request: Request) -> Guard:
    context: AuthContext = request.app.state.auth
    return context.guard


async def current_identity(request: Request) -> Identity:
    """The same, and it may do this: a token with read scope only reads. Raises InsufficientScope."""
    identity: Identity | None = request.scope.get("identity")
    if identity is None:
        identity = request.scope["identity"] = await authenticate(request)
    if identity.scope == "read" and request.method not in SAFE_METHODS:
        raise InsufficientScope
    return identity


async def current_subject(request: Request) -> str:
    """The subject of the bearer token. Raises the facts of ``current_identity``."""
    return (await current_identity(request)).subject


async def logged_in(request: Request) -> Identity:
    """Whoever logged in here, in person. Raises LoginRequired for API tokens and other issuers' tokens."""
    identity = await current_identity(request)
    if identity.session_id is None:
        raise LoginRequired
    return identity


async def in_person(request: Request) -> Identity:
    """Anybody but an API token, which must not make others. Raises LoginRequired."""
    identity = await current_identity(request)
    if identity.token_id is not None:
        raise LoginRequired
    return identity


def limited(kind: Literal["chat", "import"]) -> Callable[[Request], Awaitable[None]]:
    """A dependency that counts one of the costly things, exactly and for all processes. Raises RateLimited.

    For a route or a router: ``dependencies=[Depends(limited("import"))]``.
    """

    async def count(request: Request) -> None:
        identity = await current_identity(request)
        limits: Limits = request.app.state.limits
        await limits.take(request.scope, kind, identity.subject)

    return count


async def auth_context(request: Request) -> AuthContext:
    context: AuthContext = request.app.state.auth
    return context


async def auth_session(request: Request) -> DatabaseSession:
    """A transaction of the role that reads accounts and nothing of what users keep here."""
    session = request.scope["session"] = request.app.state.database.auth_transaction()
    return session  # type: ignore[no-any-return]


async def client(request: Request) -> Client:
    """The address is the proxy's word only where FORWARDED_ALLOW_IPS names that proxy: uvicorn sees to it."""
    arrived_at = now()
    address = plain_address(request.client.host) if request.client else ""
    agent = request.headers.get("user-agent", "")
    return Client(address[:64], "".join(c for c in agent if c.isprintable())[:300], arrived_at)


TOKEN_READERS = frozenset({current_identity, current_subject, logged_in, in_person})
Subject = Annotated[str, Depends(current_subject)]
Caller = Annotated[Identity, Depends(current_identity)]
LoggedIn = Annotated[Identity, Depends(logged_in)]
InPerson = Annotated[Identity, Depends(in_person)]
Auth = Annotated[AuthContext, Depends(auth_context)]
AuthSession = Annotated[DatabaseSession, Depends(auth_session)]
FromClient = Annotated[Client, Depends(client)]
# The bounds are only documented: a path that cannot be anybody's is not the caller's either, and that is 403.
UserId = Annotated[
    str,
    Path(
        description="The token's subject, or `me`.",
        examples=["me"],
        json_schema_extra={"minLength": 1, "maxLength": USER_ID_MAX},
    ),
]


async def path_owner(user_id: UserId, subject: Subject) -> str:
    """The owner of everything the request touches: the path must be the token's subject. Raises NotYourPath."""
    if user_id not in (subject, ME):
        raise NotYourPath
    return subject


Owner = Annotated[str, Depends(path_owner)]


async def write_session(request: Request, owner: Owner, caller: Caller) -> DatabaseSession:
    """A transaction of the owner, opened at the first statement, committed before the answer is sent."""
    session: DatabaseSession = request.app.state.database.transaction(owner)
    if caller.client:
        session.through = f"token:{caller.client}"
    request.scope["session"] = session
    return session


async def read_session(request: Request, owner: Owner) -> DatabaseSession:
    """The same, READ ONLY and with one snapshot for all its statements."""
    session = request.scope["session"] = request.app.state.database.transaction(owner, read_only=True)
    return session  # type: ignore[no-any-return]


async def feed_session(request: Request, user_id: UserId) -> DatabaseSession:
    """A read-only transaction of whom the path names, for a route that asks for a token of its own before it reads.

    Raises CalendarTokenInvalid for what cannot be anybody.
    """
    if not is_user_id(user_id):
        raise CalendarTokenInvalid
    session = request.scope["session"] = request.app.state.database.transaction(user_id, read_only=True)
    return session  # type: ignore[no-any-return]


Session = Annotated[DatabaseSession, Depends(write_session)]
FeedSession = Annotated[DatabaseSession, Depends(feed_session)]
ReadSession = Annotated[DatabaseSession, Depends(read_session)]


def _canonical_id(value: Any) -> int:
    """A positive integer of 64 bits in its only spelling; whatever else stands there names nothing: 404."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and value[0] != "0" and len(value) <= 19:
        number = int(value)
        if number <= MAX_ID:
            return number
    raise NotFound


def _row_id(example: int) -> tuple[BeforeValidator, WithJsonSchema]:
    schema = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID, "examples": [example]}
    return BeforeValidator(_canonical_id), WithJsonSchema(schema)


TaskId = Annotated[int, Path(description="Id of the task."), *_row_id(7)]
ProjectId = Annotated[int, Path(description="Id of the project."), *_row_id(3)]
CommentId = Annotated[int, Path(description="Id of the comment."), *_row_id(3)]
ViewId = Annotated[int, Path(description="Id of the view."), *_row_id(2)]
TagName = Annotated[
    str,
    Path(description="The tag, percent-encoded.", examples=["errands"], min_length=1, max_length=TAG_MAX),
    cleaned(TAG_MAX),
]
Revision = Annotated[int, Path(description="The number of a write."), *_row_id(42)]
WebhookId = Annotated[int, Path(description="Id of the webhook."), *_row_id(3)]
FeedId = Annotated[int, Path(description="Id of the calendar feed."), *_row_id(3)]
ConversationId = Annotated[int, Path(description="Id of the conversation."), *_row_id(3)]
TokenId = Annotated[int, Path(description="Id of the API token."), *_row_id(3)]
SessionId = Annotated[str, Path(description="Id of the session.", min_length=1, max_length=64)]
IfMatch = Annotated[
    str | None,
    Header(
        description='Write only if the ETag is still this one, e.g. `"7"`.',
        examples=['"7"'],
        json_schema_extra={"pattern": r'^\*$|"[!#-~]*"'},
    ),
]
IfNoneMatch = Annotated[str | None, Header(description="Answer 304 when the ETag is still one of these.")]
