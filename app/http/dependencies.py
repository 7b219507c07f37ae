"""Dependencies that routes declare in their signatures: the caller, sessions, path parameters, headers."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPBearer
from pydantic import AfterValidator, BeforeValidator, PlainValidator, WithJsonSchema

from app.auth.claims import Identity
from app.auth.opaque_tokens import API_TOKEN_PREFIX
from app.auth.token_verifier import bearer_token
from app.clock import now
from app.db.session import Session as DatabaseSession
from app.domain.user_ids import USER_ID_MAX, is_user_id
from app.errors import (
    ApiTokenNotFound,
    AppError,
    CalendarNotFound,
    CalendarTokenInvalid,
    ChangeNotFound,
    ChannelNotFound,
    ConnectedAppNotFound,
    ConversationNotFound,
    ErrorKind,
    InsufficientScope,
    KeysUnavailable,
    LinkNotFound,
    LoginRequired,
    NotFound,
    NotYourPath,
    PasskeyNotFound,
    RefusalReason,
    SessionNotFound,
    TokenInvalid,
    WebhookNotFound,
)
from app.http.openapi.texts import BEARER_DESCRIPTION
from app.http.paths import names_resource
from app.http.rate_limits import Limits
from app.models.task_fields import TAG_MAX
from app.models.types import MAX_ID, UID_PREFIX, IdOrUid, cleaned, is_uid, parse_uid
from app.net.addresses import unmap_address
from app.observability.request_context import set_subject
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.revocation import RevocationCache
from app.services.accounts.second_factors import require_recent_factor
from app.services.uids import ABSENT_ERRORS, NamedRow

ME_PATH, SESSION_ID_MAX = "me", 64
SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS", "PROPFIND", "REPORT"})
bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    scheme_name="bearerAuth",
    description=BEARER_DESCRIPTION,
)


async def authenticate(
    request: Request,
    resource: str = "",
    *,
    read_token: Callable[[str | None], str] = bearer_token,
    quota: Literal["default", "caldav"] = "default",
) -> Identity:
    """Returns the identity in the request's token, of any kind, unless its session or API token has been revoked.

    The token of an app must be for the whole service, or for ``resource``, a path. Every authenticated request passes
    here, so it is counted here. ``read_token`` finds the token in the header Authorization. Scopes are checked by
    ``current_identity``. Raises the 401 errors, KeysUnavailable, RateLimited.
    """
    limits: Limits = request.app.state.limits
    try:
        identity = await _verify(request, limits, read_token)
        if identity.audience and not names_resource(request, identity.audience, resource):
            raise TokenInvalid(reason=RefusalReason.AUD_WRONG, details={"aud": identity.audience})
    except AppError as refused:
        if refused.kind is ErrorKind.UNAUTHENTICATED or isinstance(refused, KeysUnavailable):  # key ids can be made up
            limits.consume_address(request.scope)
        raise
    set_subject(identity.subject)
    limits.consume_subject(request.scope, identity.subject, quota=quota)
    return identity


async def _verify(request: Request, limits: Limits, read_token: Callable[[str | None], str]) -> Identity:
    token = read_token(request.headers.get("authorization"))
    if token.startswith(API_TOKEN_PREFIX):
        if not _revocation_cache(request).knows_api_token(token):
            limits.refuse_busy_address(request.scope)  # each guess costs a database lookup
        return await _revocation_cache(request).verify_api_token(token)
    verifier = request.app.state.verifier
    identity: Identity = verifier.cached(token) or await verifier.verify(token)
    if identity.session_id is not None and not _revocation_cache(request).is_fresh(identity):
        await _revocation_cache(request).check_session(identity)
    return identity


def _revocation_cache(request: Request) -> RevocationCache:
    context: AuthContext = request.app.state.auth
    return context.revocations


async def current_identity(request: Request) -> Identity:
    """Returns the caller's identity. Raises InsufficientScope for a write with a read-only token."""
    identity: Identity | None = request.scope.get("identity")
    if identity is None:
        identity = request.scope["identity"] = await authenticate(request)
    if identity.scope == "read" and request.method not in SAFE_METHODS:
        raise InsufficientScope
    return identity


async def current_subject(request: Request) -> str:
    """Returns the subject of the bearer token. Raises the errors of ``current_identity``."""
    return (await current_identity(request)).subject


async def require_login(request: Request) -> Identity:
    """Returns the identity of a login session. Raises LoginRequired for API tokens, apps and other issuers' tokens."""
    identity = await current_identity(request)
    if identity.session_id is None or identity.client_id:
        raise LoginRequired
    return identity


async def require_person(request: Request) -> Identity:
    """Returns the identity of a user in person.

    Raises LoginRequired for API tokens and apps, which must not create others.
    """
    identity = await current_identity(request)
    if identity.token_id is not None or identity.client_id:
        raise LoginRequired
    return identity


async def require_proven_login(request: Request) -> Identity:
    """Returns the identity of a login that has proved the account's second factor lately, if it has one.

    Raises LoginRequired, SecondFactorRequired.
    """
    identity = await require_login(request)
    await require_recent_factor(request.app.state.auth, identity)
    return identity


async def require_proven_person(request: Request) -> Identity:
    """Returns the identity of a user in person, who has proved the account's second factor lately, if it has one.

    Raises LoginRequired, SecondFactorRequired: always for another issuer's token, if it is of such an account.
    """
    identity = await require_person(request)
    await require_recent_factor(request.app.state.auth, identity)
    return identity


def limited(kind: Literal["chat", "import", "export"]) -> Callable[[Request], Awaitable[None]]:
    """Returns a dependency that counts a costly request exactly, over all processes, and raises RateLimited.

    For a route or a router: ``dependencies=[Depends(limited("import"))]``.
    """

    async def count(request: Request) -> None:
        identity = await current_identity(request)
        limits: Limits = request.app.state.limits
        await limits.consume(request.scope, kind, identity.subject)

    return count


async def current_auth_context(request: Request) -> AuthContext:
    context: AuthContext = request.app.state.auth
    return context


async def open_auth_session(request: Request) -> DatabaseSession:
    """Opens a transaction of the database role that can read accounts but no users' data."""
    session = request.scope["session"] = request.app.state.database.auth_transaction()
    return session  # type: ignore[no-any-return]


async def describe_client(request: Request) -> Client:
    """Returns the client's IP address and user agent. ``app.http.proxies`` trusts only those in FORWARDED_ALLOW_IPS."""
    arrived_at = now()
    address = unmap_address(request.client.host) if request.client else ""
    agent = request.headers.get("user-agent", "")
    return Client(address[:64], "".join(c for c in agent if c.isprintable())[:300], arrived_at)


TOKEN_DEPENDENCIES = frozenset(
    {current_identity, current_subject, require_login, require_person, require_proven_login, require_proven_person}
)
Subject = Annotated[str, Depends(current_subject)]
Caller = Annotated[Identity, Depends(current_identity)]
LoggedIn = Annotated[Identity, Depends(require_login)]
InPerson = Annotated[Identity, Depends(require_person)]
ProvenLogin = Annotated[Identity, Depends(require_proven_login)]
ProvenInPerson = Annotated[Identity, Depends(require_proven_person)]
Auth = Annotated[AuthContext, Depends(current_auth_context)]
AuthSession = Annotated[DatabaseSession, Depends(open_auth_session)]
FromClient = Annotated[Client, Depends(describe_client)]
# The bounds are only documented: an impossible user id is not the caller's either, and that is 403.
UserId = Annotated[
    str,
    Path(
        description="The token's subject, or `me`.",
        examples=["me"],
        json_schema_extra={"minLength": 1, "maxLength": USER_ID_MAX},
    ),
]


async def require_owner(user_id: UserId, subject: Subject) -> str:
    """Returns the owner of all rows the request touches. Raises NotYourPath unless the path names the subject."""
    if user_id not in (subject, ME_PATH):
        raise NotYourPath
    return subject


Owner = Annotated[str, Depends(require_owner)]


async def open_write_session(request: Request, owner: Owner, caller: Caller) -> DatabaseSession:
    """Opens a transaction of the owner. It begins at the first statement and commits before the response is sent."""
    session: DatabaseSession = request.app.state.database.transaction(owner)
    if caller.client:
        session.source = f"{'app' if caller.client_id else 'token'}:{caller.client}"
    request.scope["session"] = session
    return session


async def open_read_session(request: Request, owner: Owner) -> DatabaseSession:
    """Opens a READ ONLY transaction of the owner, with one snapshot for all its statements."""
    session = request.scope["session"] = request.app.state.database.transaction(owner, read_only=True)
    return session  # type: ignore[no-any-return]


async def open_feed_session(request: Request, user_id: UserId) -> DatabaseSession:
    """Opens a read-only transaction of the user in the path, for a route that checks a feed token before it reads.

    Raises CalendarTokenInvalid for an impossible user id.
    """
    if not is_user_id(user_id):
        raise CalendarTokenInvalid(reason=RefusalReason.FEED_TOKEN_UNKNOWN)
    session = request.scope["session"] = request.app.state.database.transaction(user_id, read_only=True)
    return session  # type: ignore[no-any-return]


WriteSession = Annotated[DatabaseSession, Depends(open_write_session)]
FeedSession = Annotated[DatabaseSession, Depends(open_feed_session)]
ReadSession = Annotated[DatabaseSession, Depends(open_read_session)]


def _parse_row_id(value: Any, absent: type[NotFound]) -> int:
    """Returns a positive 64-bit integer in canonical form. Raises ``absent`` for others: no row has such an id."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and value[0] != "0" and len(value) <= 19:
        number = int(value)
        if number <= MAX_ID:
            return number
    raise absent


def _row_id(description: str, example: int, absent: type[NotFound]) -> tuple[Any, ...]:
    """Returns the annotations of a parameter that is the id of a row."""
    schema = {"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID, "examples": [example]}
    parser = BeforeValidator(partial(_parse_row_id, absent=absent))
    return Path(description=description), parser, WithJsonSchema(schema)


def _parse_row_reference(value: str, entity: str, *, may_create: bool) -> int | str | NamedRow:
    """Returns an id, or the uid behind ``uid:`` for the route to look up.

    ``may_create``: returns the uid itself, with which a row may be made. Raises the error of ABSENT_ERRORS for what no
    row can have, PydanticCustomError for what no new row can.
    """
    if not value.startswith(UID_PREFIX):
        return _parse_row_id(value, ABSENT_ERRORS[entity])
    uid = value.removeprefix(UID_PREFIX)
    if may_create:
        return parse_uid(uid)
    if not is_uid(uid):
        raise ABSENT_ERRORS[entity]
    return NamedRow(entity, uid)


def _row_reference(entity: str, example: int, *, may_create: bool = False) -> tuple[Any, ...]:
    """Returns the annotations of a parameter that is the id of a row or its uid."""
    parse = partial(_parse_row_reference, entity=entity, may_create=may_create)
    description = f"Id of the {entity}, or `{UID_PREFIX}` and its uid."
    return Path(description=description, examples=[example]), PlainValidator(parse, json_schema_input_type=IdOrUid)


def _session_id(description: str, absent: type[NotFound]) -> tuple[Any, ...]:
    """Returns the annotations of a parameter that is the id of a session. Raises ``absent`` for impossible ones."""

    def check(value: str) -> str:
        if len(value) > SESSION_ID_MAX:
            raise absent
        return value

    schema: dict[str, Any] = {"minLength": 1, "maxLength": SESSION_ID_MAX}
    return Path(description=description, json_schema_extra=schema), AfterValidator(check)


# A uid is looked up by the route, so that the endpoint gets an id.
TaskId = Annotated[int, *_row_reference("task", 7)]
ProjectId = Annotated[int, *_row_reference("project", 3)]
CommentId = Annotated[int, *_row_reference("comment", 3)]
ViewId = Annotated[int, *_row_reference("view", 2)]
# Of a PUT, which may create a row with the uid.
NewTaskId = Annotated[int | str, *_row_reference("task", 7, may_create=True)]
NewProjectId = Annotated[int | str, *_row_reference("project", 3, may_create=True)]
TagName = Annotated[
    str,
    Path(description="The tag, percent-encoded.", examples=["errands"], min_length=1, max_length=TAG_MAX),
    cleaned(TAG_MAX),
]
Revision = Annotated[int, *_row_id("The revision of a write.", 42, ChangeNotFound)]
ChannelId = Annotated[int, *_row_id("Id of the channel.", 4, ChannelNotFound)]
WebhookId = Annotated[int, *_row_id("Id of the webhook.", 3, WebhookNotFound)]
FeedId = Annotated[int, *_row_id("Id of the calendar feed.", 3, CalendarNotFound)]
ConversationId = Annotated[int, *_row_id("Id of the conversation.", 3, ConversationNotFound)]
TokenId = Annotated[int, *_row_id("Id of the API token.", 3, ApiTokenNotFound)]
SessionId = Annotated[str, *_session_id("Id of the session.", SessionNotFound)]
LinkId = Annotated[str, *_session_id("Id of the link.", LinkNotFound)]
PasskeyId = Annotated[str, *_session_id("Id of the passkey.", PasskeyNotFound)]
ConnectedAppId = Annotated[str, *_session_id("Id of the connected app.", ConnectedAppNotFound)]
IfMatch = Annotated[
    str | None,
    Header(
        alias="If-Match",
        description='Write only if the ETag is still this one, e.g. `"7"`.',
        examples=['"7"'],
        json_schema_extra={"pattern": r'^\*$|"[!#-~]*"'},
    ),
]
OnlyNew = Annotated[
    str | None,
    Header(
        alias="If-None-Match",
        description="`*`: only create; 412 if it exists.",
        json_schema_extra={"enum": ["*"]},
    ),
]
IfNoneMatch = Annotated[
    str | None, Header(alias="If-None-Match", description="Return 304 when the ETag is still one of these.")
]
