"""Grants: what users have allowed apps. Refreshed by the app, listed and revoked by the user."""

from datetime import timedelta
from typing import Any

from sqlalchemy import text

from app.auth.access_tokens import Grant
from app.auth.claims import Identity
from app.auth.opaque_tokens import hash_token, next_refresh_token
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.oauth import client_host, plain_resource
from app.errors import ConnectedAppNotFound, GrantInvalid, OAuthScopeInvalid, RefusalReason, ResourceInvalid
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.refresh import SELECT_USED_TOKEN, end_family, refresh_params, rotate
from app.services.accounts.sessions import IssuedTokens, issue_tokens

# Within which every use of a refresh token gets the same next one. Agents refresh in parallel, from several machines,
# and repeat what they lost: strict rotation is what disconnects them.
GRANT_GRACE = timedelta(seconds=30)
SELECT_GRANT_OF_TOKEN = CompiledStatement(
    text("""
    select t.user_id as id, t.session_id, s.client_id, s.client_name, s.scope, s.resource
    from refresh_tokens t join sessions s on s.user_id = t.user_id and s.id = t.session_id
    where t.token_hash = :token_hash and s.client_id is not null
""")
)
SELECT_GRANTS = CompiledStatement(
    text("""
    select id, client_id, client_name as name, scope, resource, address, created_at, last_used_at,
           least(idle_ends_at, ends_at) as expires_at
    from sessions
    where user_id = :owner and client_id is not null and ended_at is null and least(idle_ends_at, ends_at) > now()
    order by last_used_at desc, id
""")
)
END_GRANT = CompiledStatement(
    text("""
    update sessions set ended_at = now()
    where user_id = :owner and id = :id and client_id is not null and ended_at is null returning id
""")
)


async def refresh_grant(
    auth: AuthContext, token: str, client_id: str, client: Client, *, scope: str | None, resource: str | None
) -> IssuedTokens:
    """Exchanges an app's refresh token for a new pair. ``scope`` may ask for less than was granted.

    Raises GrantInvalid, also when the token was used more than GRANT_GRACE ago: then the whole family is revoked.
    Raises OAuthScopeInvalid, ResourceInvalid.
    """
    found = await _find_grant(auth, token)
    if found is None or found.client_id != client_id:
        raise GrantInvalid(reason=RefusalReason.REFRESH_TOKEN_UNKNOWN)
    grant = Grant(found.client_id, found.client_name, found.scope, found.resource)
    if resource is not None and plain_resource(resource) != grant.resource:
        raise ResourceInvalid
    if scope == "write" and grant.scope == "read":
        raise OAuthScopeInvalid
    successor = next_refresh_token(token, auth.tokens.refresh_key)
    params = refresh_params(auth, token, successor, client, client_id=client_id)
    async with auth.database.auth_transaction() as session:
        rotated = await rotate(session, params)
    if rotated is None:
        await _check_repeat(auth, params)
    return issue_tokens(auth, found.session_id, successor, found, grant._replace(scope=scope or grant.scope))


async def _find_grant(auth: AuthContext, token: str) -> Any:
    async with auth.database.auth_transaction() as session:
        return (await session.exec(SELECT_GRANT_OF_TOKEN, {"token_hash": hash_token(token)})).first()


async def _check_repeat(auth: AuthContext, params: dict[str, Any]) -> None:
    """Checks that a token which cannot be used any more was used a moment ago. Raises GrantInvalid."""
    async with auth.database.auth_transaction() as session:
        used = (await session.exec(SELECT_USED_TOKEN, params)).first()
    if used is None or not used.alive or used.used_at is None:
        reason = RefusalReason.REFRESH_TOKEN_UNKNOWN if used is None or used.alive else used.dead_because
        raise GrantInvalid(reason=reason)
    if now() - used.used_at > GRANT_GRACE:
        await end_family(auth, used)
        raise GrantInvalid(reason=RefusalReason.REFRESH_TOKEN_REUSED, details={"user_id": used.user_id})


async def revoke_refresh_token(auth: AuthContext, token: str, client_id: str | None) -> bool:
    """Ends the grant of a refresh token; returns whether there is one. Raises GrantInvalid if it is another client's.

    Refresh tokens of logins are not known here (RFC 7009, 2.1).
    """
    found = await _find_grant(auth, token)
    if found is None:
        return False
    if client_id is not None and found.client_id != client_id:
        raise GrantInvalid
    await end_grant(auth, found.id, found.session_id)
    return True


async def revoke_access_token(auth: AuthContext, identity: Identity, client_id: str | None) -> None:
    """Ends the grant of an access token. Raises GrantInvalid if it is another client's. Leaves logins alone."""
    if not identity.client_id or identity.session_id is None:
        return
    if client_id is not None and identity.client_id != client_id:
        raise GrantInvalid
    await end_grant(auth, identity.subject, identity.session_id)


async def list_apps(session: Session, owner: str) -> list[dict[str, Any]]:
    """Returns the connected apps, latest used first."""
    rows = (await session.exec(SELECT_GRANTS, {"owner": owner})).all()
    return [{**row, "host": client_host(row.client_id)} for row in rows]


async def revoke_app(auth: AuthContext, owner: str, app_id: str) -> None:
    """Disconnects an app. Raises ConnectedAppNotFound when it is none, or not any more."""
    if not await end_grant(auth, owner, app_id):
        raise ConnectedAppNotFound


async def end_grant(auth: AuthContext, owner: str, session_id: str) -> bool:
    """Ends a grant; returns whether there was one. Its tokens are refused within 5 seconds, by every process."""
    async with auth.database.auth_transaction() as session:
        ended = (await session.exec(END_GRANT, {"owner": owner, "id": session_id})).first()
    auth.revocations.forget(owner)
    return ended is not None
