"""Safe retries: ``Idempotency-Key`` on unsafe requests below a user's path (draft-ietf-httpapi-idempotency-key-header).

The first response is stored in the transaction of its effect, so neither exists without the other, whatever process is
killed. An error is stored only if the same request would fail again, in a separate transaction after the rollback. A
request without the header costs nothing.
"""

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

from fastapi.exceptions import RequestValidationError
from starlette.requests import Request
from starlette.responses import Response

from app.db.contention import retry_on_contention
from app.db.database import Database
from app.db.session import Session
from app.errors import FINAL_KINDS, AppError, IdempotencyKeyInvalid, SecretShownOnce
from app.http.body import read_body
from app.http.problems import problem_from_error, problem_from_validation
from app.http.responses import ShownOnce
from app.services.idempotency import StoredResponse, claim_key, store_response

KEY_PATTERN = re.compile(r"[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?")
FINGERPRINT_HEADERS = ("if-match", "content-type")
# For the document: every unsafe route below a user's path accepts it, so no signature declares it.
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Repeat the request with the same key to get the first response again, for 24 hours. A response "
    "with a secret is not stored: its repeat is 409 `secret_shown_once`.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255},
}


@dataclass(slots=True)
class IdempotentRequest:
    """A request with an Idempotency-Key; ``response`` is the stored one when it is a repeat."""

    database: Database
    owner: str
    key: str
    fingerprint: bytes
    response: Response | None = None

    async def keep(self, session: Session, response: Response) -> Self:
        """Stores a successful response in the request's transaction. A stream is not stored.

        Instead of a response with a secret, a 409 is stored: the key is used up, and the effect is not repeated.
        """
        whole = isinstance(getattr(response, "body", None), bytes) and response.media_type != "text/event-stream"
        if whole and response.status_code < 300:
            if isinstance(response, ShownOnce):
                response = problem_from_error(SecretShownOnce(f"{SecretShownOnce.message} {response.instead}"))
            await store_response(session, self.owner, self.key, self.fingerprint, _to_stored(response))
        return self

    async def refuse(self, request: Request, error: BaseException) -> Response | None:
        """Stores and returns the response to a deterministic error; None for an error that may not happen again."""
        if isinstance(error, RequestValidationError):
            refusal = problem_from_validation(error)
        elif isinstance(error, AppError) and error.kind in FINAL_KINDS and error.retry_after is None:
            refusal = problem_from_error(error, request)
        else:
            return None
        with suppress(AppError):  # not stored: a repeat of the request fails by itself
            await self._keep_refusal(refusal)
        return refusal

    @retry_on_contention
    async def _keep_refusal(self, refusal: Response) -> None:
        async with self.database.transaction(self.owner) as session:
            if await claim_key(session, self.owner, self.key, self.fingerprint) is None:
                await store_response(session, self.owner, self.key, self.fingerprint, _to_stored(refusal))


async def begin_idempotent_request(request: Request) -> IdempotentRequest | None:
    """Claims the request's key; None without the header, and without an owner's transaction to store a response in.

    Account routes have no such transaction: their responses hold tokens and are not stored. Raises
    IdempotencyKeyInvalid, IdempotencyKeyInUse, IdempotencyKeyReused and the errors of ``read_body``.
    """
    session: Session | None = request.scope.get("session")
    if session is None or not session.owner or (key := read_idempotency_key(request)) is None:
        return None
    # Read here to hash it; Starlette keeps a body in this attribute, where the route finds it again.
    request._body = await read_body(request, request.app.state.settings.body_limit)
    idempotent = IdempotentRequest(request.app.state.database, session.owner, key, _fingerprint(request, request._body))
    kept = await claim_key(session, session.owner, key, idempotent.fingerprint)
    if kept is not None:
        headers = {**dict(kept.headers), "Idempotent-Replayed": "true"}
        idempotent.response = Response(kept.body, kept.status, headers)
    return idempotent


def read_idempotency_key(request: Request) -> str | None:
    """Returns the key that was sent. Raises IdempotencyKeyInvalid."""
    header = request.headers.get("idempotency-key")
    if header is None:
        return None
    key = header[1:-1] if len(header) > 2 and header[0] == header[-1] == '"' else header  # the draft quotes it
    if KEY_PATTERN.fullmatch(key) is None:
        raise IdempotencyKeyInvalid(loc=("header", "Idempotency-Key"))
    return key


def _fingerprint(request: Request, body: bytes) -> bytes:
    """Hashes what identifies the request: method, route, ids, query, body and the headers that change its effect.

    ``me`` and the user's id count as the same path.
    """
    ids = {name: value for name, value in request.path_params.items() if name != "user_id"}
    route = getattr(request.scope["route"], "path", "")
    headers = [request.headers.get(name) for name in FINGERPRINT_HEADERS]
    text = f"{request.method} {route} {sorted(ids.items())} {request.url.query} {headers}\n"
    return hashlib.sha256(text.encode() + body).digest()


def _to_stored(response: Response) -> StoredResponse:
    headers = [[k.decode("latin-1"), v.decode("latin-1")] for k, v in response.raw_headers if k != b"content-length"]
    return StoredResponse(response.status_code, headers, bytes(response.body))
