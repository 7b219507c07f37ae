"""The vocabulary of signatures: what a route needs, said in one word each."""

from typing import Annotated, Any

from fastapi import Depends, Header, Path, Request
from fastapi.security import HTTPBearer
from pydantic import BeforeValidator, WithJsonSchema

from app.auth.tokens import bearer_token
from app.db.session import Session as DatabaseSession
from app.errors import NotFound, NotYourPath
from app.models.base import MAX_ID

ME = "me"
bearer = HTTPBearer(
    auto_error=False,
    bearerFormat="JWT",
    scheme_name="bearerAuth",
    description="A token of the service: `todo token alice` prints one.",
)


async def current_subject(request: Request) -> str:
    """The subject of the bearer token. Raises the 401 facts of ``app.auth.tokens``."""
    verifier = request.app.state.verifier
    token = bearer_token(request.headers.get("authorization"))
    identity = verifier.cached(token) or await verifier.verify(token)
    subject: str = identity.subject
    return subject


async def token_expiry(request: Request) -> int:
    """When the bearer token ends, in seconds since 1970: a stream must not outlive it."""
    verifier = request.app.state.verifier
    token = bearer_token(request.headers.get("authorization"))
    identity = verifier.cached(token) or await verifier.verify(token)
    expires_at: int = identity.expires_at
    return expires_at


Subject = Annotated[str, Depends(current_subject)]
TokenExpiry = Annotated[int, Depends(token_expiry)]
# The bounds are only documented: a path that cannot be anybody's is not the caller's either, and that is 403.
UserId = Annotated[
    str,
    Path(
        description="The token's subject, or `me`.",
        examples=["me"],
        json_schema_extra={"minLength": 1, "maxLength": 255},
    ),
]


async def path_owner(user_id: UserId, subject: Subject) -> str:
    """The owner of everything the request touches: the path must be the token's subject. Raises NotYourPath."""
    if user_id not in (subject, ME):
        raise NotYourPath
    return subject


Owner = Annotated[str, Depends(path_owner)]


async def write_session(request: Request, owner: Owner) -> DatabaseSession:
    """A transaction of the owner, opened at the first statement, committed before the answer is sent."""
    session = request.scope["session"] = request.app.state.database.transaction(owner)
    return session  # type: ignore[no-any-return]


async def read_session(request: Request, owner: Owner) -> DatabaseSession:
    """The same, READ ONLY and with one snapshot for all its statements."""
    session = request.scope["session"] = request.app.state.database.transaction(owner, read_only=True)
    return session  # type: ignore[no-any-return]


Session = Annotated[DatabaseSession, Depends(write_session)]
ReadSession = Annotated[DatabaseSession, Depends(read_session)]


def _canonical_id(value: Any) -> int:
    """A positive integer of 64 bits in its only spelling; whatever else stands there names nothing: 404."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and value[0] != "0" and len(value) <= 19:
        number = int(value)
        if number <= MAX_ID:
            return number
    raise NotFound


TaskId = Annotated[
    int,
    Path(description="Id of the task.", examples=[7]),
    BeforeValidator(_canonical_id),
    WithJsonSchema({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID, "examples": [7]}),
]
Revision = Annotated[
    int,
    Path(description="The number of a write.", examples=[42]),
    BeforeValidator(_canonical_id),
    WithJsonSchema({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID, "examples": [42]}),
]
WebhookId = Annotated[
    int,
    Path(description="Id of the webhook.", examples=[3]),
    BeforeValidator(_canonical_id),
    WithJsonSchema({"type": "integer", "format": "int64", "minimum": 1, "maximum": MAX_ID, "examples": [3]}),
]
IfMatch = Annotated[
    str | None, Header(description='Write only if the ETag is still this one, e.g. `"7"`.', examples=['"7"'])
]
IfNoneMatch = Annotated[str | None, Header(description="Answer 304 when the ETag is still one of these.")]
