"""Authorization codes: what a user has just allowed, until the app exchanges it for tokens (RFC 6749, 4.1)."""

import uuid
from datetime import timedelta
from typing import NamedTuple

from sqlalchemy import text

from app.auth.access_tokens import Grant
from app.auth.claims import Identity
from app.auth.opaque_tokens import hash_token, new_code
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.oauth import plain_resource, proves_challenge
from app.errors import GrantInvalid, RefusalReason, ResourceInvalid, SessionEnded
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.sessions import END_SESSION, IssuedTokens, start_session
from app.services.oauth.clients import OAuthApp

CODE_LIFE = timedelta(minutes=5)  # a browser may ask before it opens the app
# Before any code is written, so that a concurrent write which ends every session either sees it, or is seen by it.
SHARE_ENABLED_ACCOUNT = CompiledStatement(
    text("select 1 as enabled from accounts where user_id = :owner and disabled_at is null for share")
)
# Codes are kept for a day after their use, by which a second use is recognized.
INSERT_CODE = CompiledStatement(
    text("""
    with old as (delete from oauth_codes where user_id = :owner and expires_at < now() - interval '1 day'),
    used as (update oauth_clients set used_at = now() where client_id = :client_id)
    insert into oauth_codes (user_id, code_hash, client_id, client_name, redirect_uri, scope, resource, challenge,
                             expires_at)
    select user_id, :code_hash, :client_id, :client_name, :redirect_uri, :scope, :resource, :challenge, :expires_at
    from sessions where user_id = :owner and id = :session_id and client_id is null and ended_at is null
      and least(ends_at, idle_ends_at) > now()
    returning expires_at
""")
)
FIND_CODE_OWNER = CompiledStatement(text("select user_id from oauth_codes where code_hash = :code_hash"))
LOCK_CODE = CompiledStatement(
    text("""
    select client_id, client_name, redirect_uri, scope, resource, challenge, session_id, expires_at > now() as valid
    from oauth_codes where user_id = :owner and code_hash = :code_hash for update
""")
)
USE_CODE = CompiledStatement(
    text("update oauth_codes set session_id = :session_id where user_id = :owner and code_hash = :code_hash")
)


class CodeRequest(NamedTuple):
    """The request of an app that a user has allowed."""

    app: OAuthApp
    redirect_uri: str
    scope: str
    resource: str
    challenge: str


class CodeExchange(NamedTuple):
    """The request of an app to exchange a code. ``redirect_uri`` and ``resource`` may be missing (OAuth 2.1, 10.2)."""

    code: str
    client_id: str
    verifier: str
    redirect_uri: str | None
    resource: str | None


async def create_code(auth: AuthContext, identity: Identity, asked: CodeRequest, scope: str) -> str:
    """Returns a code for what the user allowed. Raises SessionEnded if the login has ended meanwhile."""
    code = new_code()
    values = {
        "owner": identity.subject,
        "session_id": identity.session_id,
        "code_hash": hash_token(code),
        "client_id": asked.app.client_id,
        "client_name": asked.app.name,
        "redirect_uri": asked.redirect_uri,
        "scope": scope,
        "resource": asked.resource,
        "challenge": asked.challenge,
        "expires_at": now() + CODE_LIFE,
    }
    async with auth.database.auth_transaction() as session:
        enabled = (await session.exec(SHARE_ENABLED_ACCOUNT, {"owner": identity.subject})).first()
        if enabled is None or (await session.exec(INSERT_CODE, values)).first() is None:
            raise SessionEnded(reason=RefusalReason.SESSION_ENDED, details={"user_id": identity.subject})
    return code


async def exchange_code(auth: AuthContext, sent: CodeExchange, client: Client) -> IssuedTokens:
    """Starts the grant of a code. Raises GrantInvalid; a second use also revokes what the first gave.

    Raises ResourceInvalid.
    """
    found = {"code_hash": hash_token(sent.code)}
    async with auth.database.auth_transaction() as session:
        owner: str | None = (await session.exec(FIND_CODE_OWNER, found)).first()
        if owner is None or (await session.exec(SHARE_ENABLED_ACCOUNT, {"owner": owner})).first() is None:
            raise GrantInvalid
        issued = await _use_code(session, auth, {**found, "owner": owner}, sent, client)
    if issued is None:
        auth.revocations.forget(owner)
        raise GrantInvalid(reason=RefusalReason.CODE_REUSED, details={"user_id": owner})
    return issued


async def _use_code(
    session: Session, auth: AuthContext, found: dict[str, object], sent: CodeExchange, client: Client
) -> IssuedTokens | None:
    """Returns the tokens, or None after the grant of a used code was ended."""
    code = (await session.exec(LOCK_CODE, found)).first()
    if code is None:
        raise GrantInvalid
    if code.session_id is not None:
        await session.exec(END_SESSION, {"owner": found["owner"], "id": code.session_id})
        return None
    if not code.valid or code.client_id != sent.client_id or not proves_challenge(sent.verifier, code.challenge):
        raise GrantInvalid
    if sent.redirect_uri is not None and sent.redirect_uri != code.redirect_uri:
        raise GrantInvalid
    if sent.resource is not None and plain_resource(sent.resource) != code.resource:
        raise ResourceInvalid
    session_id = uuid.uuid4().hex
    await session.exec(USE_CODE, {**found, "session_id": session_id})
    grant = Grant(code.client_id, code.client_name, code.scope, code.resource)
    return await start_session(session, auth, str(found["owner"]), client, grant=grant, session_id=session_id)
