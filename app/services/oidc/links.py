"""Links of accounts to users of sign-in providers: listed and removed by the owner of the account."""

import logging
import uuid
from typing import Any

from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import LastLogin, LinkNotFound
from app.services.accounts import mail_texts
from app.services.accounts.context import AuthContext
from app.services.accounts.mailed_tokens import LOCK_ACCOUNT

log = logging.getLogger("app.security")

SELECT_LINKS = CompiledStatement(
    text("""
    select id, provider, issuer, subject, email, created_at, last_used_at from oidc_links
    where user_id = :owner order by created_at, id
""")
)
INSERT_LINK = CompiledStatement(
    text("""
    insert into oidc_links (user_id, id, provider, issuer, subject, email, created_at, last_used_at)
    values (:owner, :link_id, :provider, :issuer, :subject, :email, now(), now())
    on conflict (issuer, subject) do nothing returning id
""")
)
# A provider that the operator has removed is no way to log in.
DELETE_LINK = CompiledStatement(
    text("""
    delete from oidc_links where user_id = :owner and id = :link_id and (
        exists (select from accounts where user_id = :owner and password_hash is not null)
        or exists (select from oidc_links other where other.user_id = :owner and other.id <> :link_id
                   and other.provider = any(cast(:providers as text[]))))
    returning issuer
""")
)
FIND_LINK_BY_ID = CompiledStatement(text("select 1 as found from oidc_links where user_id = :owner and id = :link_id"))


async def list_links(session: Session, owner: str, auth: AuthContext) -> list[dict[str, Any]]:
    """Returns the links of an account, oldest first."""
    rows = (await session.exec(SELECT_LINKS, {"owner": owner})).all()
    found = []
    for row in rows:
        provider = auth.providers.get(row.provider)
        name = row.issuer if provider is None else provider.config.label
        shown = {key: value for key, value in row.items() if key != "issuer"}
        found.append({**shown, "name": name})
    return found


async def create_link(session: Session, owner: str, claims: dict[str, Any], provider: str, email: str) -> bool:
    """Links a provider's user to an account, in the caller's transaction; returns whether that user was free."""
    values = {
        "owner": owner,
        "link_id": uuid.uuid4().hex,
        "provider": provider,
        "issuer": claims["iss"],
        "subject": claims["sub"],
        "email": email,
    }
    return (await session.exec(INSERT_LINK, values)).first() is not None


def notify_linked(auth: AuthContext, owner: str, email: str, provider: str) -> None:
    """Tells the owner of an account that it has a new way to log in."""
    log.warning("provider_linked", extra={"user_id": owner, "provider": provider})
    auth.mailer.post(email, *mail_texts.provider_linked(auth.providers[provider].config.label))


async def delete_link(auth: AuthContext, owner: str, link_id: str) -> None:
    """Removes a link. Raises LinkNotFound, and LastLogin if nobody could log in to the account any more."""
    found = {"owner": owner, "link_id": link_id}
    async with auth.database.auth_transaction() as session:
        await session.exec(LOCK_ACCOUNT, found)  # so that two requests do not remove the last two
        if (await session.exec(DELETE_LINK, found | {"providers": list(auth.providers)})).first() is None:
            if (await session.exec(FIND_LINK_BY_ID, found)).first() is None:
                raise LinkNotFound
            raise LastLogin
    log.warning("provider_unlinked", extra={"user_id": owner})
