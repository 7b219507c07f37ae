"""API tokens: create, list, revoke."""

from typing import Any

from sqlalchemy import text

from app.auth.claims import Identity
from app.auth.opaque_tokens import HINT_LENGTH, hash_token, new_api_token
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import ApiTokenNotFound
from app.models.api_tokens import ApiTokenCreate
from app.services.accounts.context import AuthContext
from app.services.accounts.second_factors import require_recent_proof

_API_TOKEN_COLUMNS = "id, name, scope, hint, created_at, expires_at, last_used_at"
INSERT_API_TOKEN = CompiledStatement(
    text(f"""
    insert into api_tokens (user_id, name, scope, token_hash, hint, expires_at)
    values (:owner, :name, :scope, :token_hash, :hint, :expires_at) returning {_API_TOKEN_COLUMNS}
""")  # noqa: S608 - a constant
)
SELECT_API_TOKENS = CompiledStatement(
    text(f"select {_API_TOKEN_COLUMNS} from api_tokens where user_id = :owner and revoked_at is null order by id desc")  # noqa: S608
)
REVOKE_API_TOKEN = CompiledStatement(
    text("""
    update api_tokens set revoked_at = now()
    where user_id = :owner and id = cast(:token_id as bigint) and revoked_at is null returning id
""")
)


async def create_api_token(session: Session, identity: Identity, wanted: ApiTokenCreate) -> dict[str, Any]:
    """Returns the row and ``token``, which is stored only as a hash. Raises SecondFactorRequired, SessionEnded."""
    await require_recent_proof(session, identity)
    token = new_api_token()
    kept = {"owner": identity.subject, "token_hash": hash_token(token), "hint": token[:HINT_LENGTH]}
    row = (await session.exec(INSERT_API_TOKEN, {**wanted.model_dump(), **kept})).one()
    return {**dict(row), "token": token}


async def list_api_tokens(session: Session, owner: str) -> list[Any]:
    """Returns the tokens that are not revoked, also expired ones, newest first."""
    return (await session.exec(SELECT_API_TOKENS, {"owner": owner})).all()


async def revoke_api_token(auth: AuthContext, owner: str, token_id: int) -> None:
    """Revokes a token. Raises ApiTokenNotFound."""
    async with auth.database.auth_transaction() as session:
        revoked = (await session.exec(REVOKE_API_TOKEN, {"owner": owner, "token_id": token_id})).first()
    auth.revocations.forget(owner)
    if revoked is None:
        raise ApiTokenNotFound
