"""Signing in with a provider of OpenID Connect: begun in a browser, finished in the same one, once.

A provider's user logs in to the account to which it is linked. Otherwise an account is linked only if the provider and
this service both call its e-mail verified: an e-mail alone, which anyone can enter at a provider, opens no account.
"""

import random
import secrets
from base64 import urlsafe_b64encode
from datetime import timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import text

from app.auth.claims import Identity
from app.auth.opaque_tokens import hash_token
from app.auth.openid_provider import OpenIdProvider
from app.clock import now
from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.domain.oidc import is_allowed_domain, is_same_mailbox
from app.errors import (
    AccountDisabled,
    AlreadyLinked,
    DomainNotAllowed,
    EmailNotVerified,
    IdTokenInvalid,
    LinkNeeded,
    ProviderNotFound,
    RefusalReason,
    RegistrationClosed,
    SessionEnded,
    SignInExpired,
    SignInRefused,
)
from app.models.accounts import ACCOUNT_NAME_MAX, EmailAddress, fold_email, known_time_zones
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.login_challenges import PendingLogin, begin_login
from app.services.accounts.mailed_tokens import CONFIRM_EMAIL
from app.services.accounts.profile import create_account
from app.services.accounts.sessions import IssuedTokens, start_session
from app.services.oidc.links import create_link, notify_linked

SIGN_IN_LIFE = timedelta(minutes=10)
PENDING_MAX = 100_000  # sign-ins that have begun: anyone can begin one, so the oldest make room
SIGN_IN_PRUNE_SHARE = 0.01  # of the starts also prunes: counting so many takes 30 ms

INSERT_SIGN_IN = CompiledStatement(
    text("""
    insert into oidc_sign_ins (state_hash, browser_hash, provider, nonce, verifier, next_url, linking_user_id,
                               linking_session_id, expires_at)
    values (:state_hash, :browser_hash, :provider, :nonce, :verifier, :next_url, :owner, :session_id, :expires_at)
""")
)
PRUNE_SIGN_INS = CompiledStatement(
    text(f"""
    delete from oidc_sign_ins where state_hash in (
        select state_hash from oidc_sign_ins
        where expires_at <= greatest(now(), (select expires_at from oidc_sign_ins
                                             order by expires_at desc offset {PENDING_MAX} limit 1))
        order by expires_at limit 10000 for update skip locked)
""")  # noqa: S608 - a constant
)
# Only the browser that began it uses it up.
TAKE_SIGN_IN = CompiledStatement(
    text("""
    delete from oidc_sign_ins
    where state_hash = :state_hash and browser_hash = :browser_hash and provider = :provider
    returning nonce, verifier, next_url, linking_user_id, linking_session_id, expires_at > now() as valid
""")
)
USE_LINK = CompiledStatement(
    text("""
    update oidc_links set last_used_at = now(), email = :email where issuer = :issuer and subject = :subject
    returning user_id
""")
)
FIND_LINK_OWNER = CompiledStatement(
    text("select user_id from oidc_links where issuer = :issuer and subject = :subject")
)
# Locked against a concurrent write that disables the account or changes its e-mail.
SHARE_LINKED_ACCOUNT = CompiledStatement(
    text("select user_id, email, disabled_at from accounts where user_id = :owner for share")
)
SHARE_ACCOUNT_OF_EMAIL = CompiledStatement(
    text("""
    select user_id, email, disabled_at, email_confirmed_at from accounts where email_key = :email_key for share
""")
)
# A statement of its own, after the account is locked: one that waits for a lock sees other tables as they were before.
FIND_LINKING_LOGIN = CompiledStatement(
    text("""
    select 1 as lasts from sessions
    where user_id = :owner and id = :session_id and client_id is null and ended_at is null
      and least(ends_at, idle_ends_at) > now()
""")
)
_EMAIL_ADAPTER: TypeAdapter[str] = TypeAdapter(EmailAddress)


class BegunSignIn(NamedTuple):
    """The request of a browser: what it is known by, and where it goes afterwards."""

    browser: str
    redirect_uri: str
    next_url: str


class ReturnedSignIn(NamedTuple):
    """The response of a provider, as the browser brought it (RFC 6749, 4.1.2, and RFC 9207)."""

    browser: str
    redirect_uri: str
    sent: dict[str, str]


class VerifiedClaims(NamedTuple):
    """A provider's user. ``email`` is empty without a usable one; ``verified``: the provider vouches for it."""

    claims: dict[str, Any]
    email: str
    verified: bool


def find_provider(auth: AuthContext, provider_id: str) -> OpenIdProvider:
    """Returns a provider. Raises ProviderNotFound."""
    provider = auth.providers.get(provider_id)
    if provider is None:
        raise ProviderNotFound
    return provider


async def begin_sign_in(
    auth: AuthContext, provider_id: str, begun: BegunSignIn, linking: Identity | None = None
) -> str:
    """Returns the page of the provider. ``linking``: the login whose account is to be linked.

    Raises ProviderNotFound, ProviderUnavailable.
    """
    provider = find_provider(auth, provider_id)
    state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
    challenge = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    url = await provider.authorization_url(
        redirect_uri=begun.redirect_uri, state=state, nonce=nonce, challenge=challenge
    )
    values = {
        "state_hash": hash_token(state),
        "browser_hash": hash_token(begun.browser),
        "provider": provider_id,
        "nonce": nonce,
        "verifier": verifier,
        "next_url": begun.next_url,
        "owner": linking.subject if linking else None,
        "session_id": linking.session_id if linking else None,
        "expires_at": now() + SIGN_IN_LIFE,
    }
    async with auth.database.auth_transaction() as session:
        await session.exec(INSERT_SIGN_IN, values)
    if random.random() < SIGN_IN_PRUNE_SHARE:  # noqa: S311
        async with auth.database.auth_transaction() as session:
            await session.exec(PRUNE_SIGN_INS)
    return url


async def take_sign_in(auth: AuthContext, provider_id: str, returned: ReturnedSignIn) -> Any:
    """Uses up the sign-in that a browser began. Raises ProviderNotFound.

    Raises SignInExpired unless this browser began it, with this provider, and it was not used yet.
    """
    find_provider(auth, provider_id)
    found = {
        "state_hash": hash_token(returned.sent.get("state", "")),
        "browser_hash": hash_token(returned.browser),
        "provider": provider_id,
    }
    async with auth.database.auth_transaction() as session:
        begun = (await session.exec(TAKE_SIGN_IN, found)).first()
    if begun is None or not begun.valid or not returned.browser:
        raise SignInExpired
    return begun


async def finish_sign_in(
    auth: AuthContext, provider_id: str, returned: ReturnedSignIn, begun: Any, client: Client
) -> IssuedTokens | PendingLogin | None:
    """Logs in with what the provider says; returns None if it is linked to the account that asked for that instead.

    Raises SignInRefused, IdTokenInvalid, ProviderUnavailable, AccountDisabled, AlreadyLinked, DomainNotAllowed,
    EmailNotVerified, LinkNeeded, RegistrationClosed, SessionEnded.
    """
    user = await _ask_provider(find_provider(auth, provider_id), returned, begun)
    if begun.linking_user_id is not None:
        await _link_account(auth, provider_id, user, begun)
        return None
    return await _log_in(auth, provider_id, user, client)


async def _ask_provider(provider: OpenIdProvider, returned: ReturnedSignIn, begun: Any) -> VerifiedClaims:
    """Redeems the code. The response must be of the provider to which the browser was sent (mix-up)."""
    sent, metadata = returned.sent, await provider.metadata()
    if sent.get("iss", None if metadata.names_issuer else metadata.issuer) != metadata.issuer:
        details = {"provider": provider.config.id, "problem": "iss of the response"}
        raise IdTokenInvalid(reason=RefusalReason.ID_TOKEN_INVALID, details=details)
    if "error" in sent or "code" not in sent:
        details = {"provider": provider.config.id, "problem": sent.get("error", "no code")}
        raise SignInRefused(reason=RefusalReason.PROVIDER_FAILED, details=details)
    claims = await provider.redeem(
        sent["code"],
        verifier=begun.verifier,
        redirect_uri=returned.redirect_uri,
        nonce=begun.nonce,
        now=now().timestamp(),
    )
    try:
        email = _EMAIL_ADAPTER.validate_python(claims.get("email"))
    except ValidationError:
        email = ""
    # The text "true" of some providers is not believed: "false" would be next.
    user = VerifiedClaims(claims, email, bool(email) and claims.get("email_verified") is True)
    if provider.config.allowed_domains:
        if not user.verified:
            raise EmailNotVerified
        if not is_allowed_domain(email, provider.config.allowed_domains):
            raise DomainNotAllowed
    return user


async def _link_account(auth: AuthContext, provider_id: str, user: VerifiedClaims, begun: Any) -> None:
    login = {"owner": begun.linking_user_id, "session_id": begun.linking_session_id}
    async with auth.database.auth_transaction() as session:
        account = (await session.exec(SHARE_LINKED_ACCOUNT, login)).first()
        lasts = (await session.exec(FIND_LINKING_LOGIN, login)).first()
        if account is None or account.disabled_at is not None or lasts is None:
            raise SessionEnded(reason=RefusalReason.SESSION_ENDED, details={"user_id": begun.linking_user_id})
        is_new = await create_link(session, account.user_id, user.claims, provider_id, user.email)
        if not is_new and await _find_owner(session, user, USE_LINK) != account.user_id:
            raise AlreadyLinked
    if is_new:
        notify_linked(auth, account.user_id, account.email, provider_id)


async def _find_owner(session: Session, user: VerifiedClaims, statement: CompiledStatement) -> str | None:
    """Returns the owner of the account to which a provider's user is linked."""
    found = {"issuer": user.claims["iss"], "subject": user.claims["sub"], "email": user.email}
    owner: str | None = (await session.exec(statement, found)).first()
    return owner


async def _log_in(
    auth: AuthContext, provider_id: str, user: VerifiedClaims, client: Client
) -> IssuedTokens | PendingLogin:
    """Logs in to the linked account, else to the one of the e-mail, else to a new one.

    The provider is the first factor: a second of the account is asked for as after a password.
    """
    auth.tokens  # noqa: B018 - fails before an account is created that cannot log in
    owner, newly_linked = None, ""
    async with auth.database.auth_transaction() as session:
        owner = await _find_owner(session, user, FIND_LINK_OWNER)
        if owner is not None:
            await _use_link(session, user, owner)
        elif (account := await _find_account(session, auth, user)) is not None:
            owner, newly_linked = account.user_id, account.email
            await _link_first(session, owner, user, provider_id)
        if owner is not None:
            issued = await begin_login(session, auth, owner, client)
    if owner is None:
        return await _create_account(auth, provider_id, user, client)
    if newly_linked:
        notify_linked(auth, owner, newly_linked, provider_id)
    return issued


async def _use_link(session: Session, user: VerifiedClaims, owner: str) -> None:
    """Locks the account and then its link, like the removal of a link, which may have been first."""
    account = (await session.exec(SHARE_LINKED_ACCOUNT, {"owner": owner})).first()
    if account is None or await _find_owner(session, user, USE_LINK) != owner:
        raise SignInExpired
    if account.disabled_at is not None:
        raise AccountDisabled


async def _link_first(session: Session, owner: str, user: VerifiedClaims, provider_id: str) -> None:
    """Links an account. Raises SignInExpired if a concurrent sign-in of the same user was first."""
    if not await create_link(session, owner, user.claims, provider_id, user.email):
        raise SignInExpired


async def _find_account(session: Session, auth: AuthContext, user: VerifiedClaims) -> Any:
    """Returns the account of the e-mail; None if there is none, and one may be created."""
    # Where not everyone may register, an e-mail that is not verified must not disclose who has an account.
    if not user.email or (not user.verified and auth.settings.registration != "open"):
        raise EmailNotVerified
    account = (await session.exec(SHARE_ACCOUNT_OF_EMAIL, {"email_key": fold_email(user.email)})).first()
    if account is None:
        if auth.settings.registration == "closed":
            raise RegistrationClosed
        return None
    if (
        not user.verified
        or account.email_confirmed_at is None
        or not is_same_mailbox(user.claims["email"], account.email)
    ):
        raise LinkNeeded
    if account.disabled_at is not None:
        raise AccountDisabled
    return account


async def _create_account(auth: AuthContext, provider_id: str, user: VerifiedClaims, client: Client) -> IssuedTokens:
    """Creates an account without a password. Raises EmailTaken if a concurrent request was first."""
    given, zone = user.claims.get("name"), user.claims.get("zoneinfo")
    printable = "".join(c for c in given if c.isprintable()) if isinstance(given, str) else ""
    name = " ".join(printable.split())[:ACCOUNT_NAME_MAX]
    timezone = zone if isinstance(zone, str) and zone in known_time_zones() else "UTC"
    async with auth.database.auth_transaction() as session:
        owner = await create_account(session, user.email, None, name=name, timezone=timezone)
        if user.verified:
            await session.exec(CONFIRM_EMAIL, {"owner": owner})
        await _link_first(session, owner, user, provider_id)
        return await start_session(session, auth, owner, client)
