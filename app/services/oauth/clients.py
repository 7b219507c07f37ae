"""The applications that may ask for access: those that registered, and those whose id is the URL of their metadata.

All are public clients: none has a secret, so a name is only a claim, and what counts is where the code is sent.
"""

import secrets
from datetime import timedelta
from typing import Any, NamedTuple

from sqlalchemy import text

from app.clock import now
from app.db.compiled import CompiledStatement
from app.domain.oauth import REDIRECTS_MAX, client_host, is_client_url, is_redirect_uri
from app.errors import (
    ClientMetadataInvalid,
    ClientRegistrationClosed,
    MalformedBody,
    OAuthClientUnknown,
    RedirectInvalid,
    RefusalReason,
)
from app.json_codec import parse_json
from app.services.accounts import login_throttle
from app.services.accounts.context import AuthContext, Client

CLIENT_ID_PREFIX = "todo_app_"
CLIENT_NAME_MAX, CLIENT_ID_MAX = 100, 500  # characters
METADATA_MAX = 16_384  # bytes of a document
METADATA_AGE = timedelta(hours=1)  # for which a document is not fetched again
UNUSED_CLIENTS_MAX = 10_000  # registrations that no user has allowed anything yet: the oldest make room for others

# Registrations are for anyone, so those that nobody uses are bounded, by number and age.
PRUNE_CLIENTS = CompiledStatement(
    text(f"""
    delete from oauth_clients where client_id in (
        select client_id from oauth_clients
        where used_at is null and created_at <= greatest(now() - interval '30 days', (
            select created_at from oauth_clients where used_at is null
            order by created_at desc offset {UNUSED_CLIENTS_MAX} limit 1))
        order by created_at limit 100 for update skip locked)
""")  # noqa: S608 - a constant
)
INSERT_CLIENT = CompiledStatement(
    text("""
    insert into oauth_clients (client_id, name, redirect_uris, fetched_at)
    values (:client_id, :name, :redirect_uris, :fetched_at)
    on conflict (client_id) do update
    set name = excluded.name, redirect_uris = excluded.redirect_uris, fetched_at = excluded.fetched_at
    where oauth_clients.fetched_at is not null
""")
)
FIND_CLIENT = CompiledStatement(
    text("select client_id, name, redirect_uris, fetched_at from oauth_clients where client_id = :client_id")
)


class OAuthApp(NamedTuple):
    """An application as it describes itself."""

    client_id: str
    name: str
    redirect_uris: list[str]

    @property
    def host(self) -> str:
        return client_host(self.client_id)


async def find_client(auth: AuthContext, client_id: str, client: Client) -> OAuthApp:
    """Returns an application; fetches its metadata if they are older than an hour. Raises OAuthClientUnknown.

    A failure is not kept: the next request fetches again. Raises TooManyAttempts.
    """
    if len(client_id) > CLIENT_ID_MAX:
        raise OAuthClientUnknown
    has_metadata = is_client_url(client_id)
    if not has_metadata and not client_id.startswith(CLIENT_ID_PREFIX):
        raise OAuthClientUnknown
    async with auth.database.auth_transaction() as session:
        row = (await session.exec(FIND_CLIENT, {"client_id": client_id})).first()
    if has_metadata and (row is None or row.fetched_at < now() - METADATA_AGE):
        return await _fetch_client(auth, client_id, client)
    if row is None:
        raise OAuthClientUnknown
    return OAuthApp(row.client_id, row.name, row.redirect_uris)


async def _fetch_client(auth: AuthContext, client_id: str, client: Client) -> OAuthApp:
    await login_throttle.count_anonymous(auth, client, "client metadata")
    outcome = await auth.outbound.get(client_id, limit=METADATA_MAX)
    if outcome.status != 200:
        # Anyone may ask for any URL: what is behind it, from this machine, is for the operator only.
        found = f"status {outcome.status}" if outcome.status else "no response"
        details = {"client_id": client_id, "problem": outcome.error or found}
        detail = f"The metadata of this client cannot be read: {found}."
        raise OAuthClientUnknown(detail, reason=RefusalReason.CLIENT_METADATA_FAILED, details=details)
    try:
        metadata = parse_json(outcome.body)
    except MalformedBody:
        raise OAuthClientUnknown("The metadata of this client are no JSON.") from None
    if not isinstance(metadata, dict) or metadata.get("client_id") != client_id:
        raise OAuthClientUnknown("The metadata of this client name another client_id.")
    found_client = _read_metadata(client_id, metadata)
    await _store_client(auth, found_client, fetched=True)
    return found_client


async def register_client(auth: AuthContext, metadata: Any, client: Client) -> OAuthApp:
    """Registers an application (RFC 7591). Raises ClientMetadataInvalid, RedirectInvalid, TooManyAttempts.

    Any method of authentication becomes ``none``, as RFC 7591, 3.2.1 allows. Raises ClientRegistrationClosed.
    """
    if not auth.settings.oauth_registration:
        raise ClientRegistrationClosed
    made = _read_metadata(CLIENT_ID_PREFIX + secrets.token_urlsafe(18), metadata)
    await login_throttle.count_anonymous(auth, client, "client registration")
    await _store_client(auth, made, fetched=False)
    return made


async def _store_client(auth: AuthContext, app: OAuthApp, *, fetched: bool) -> None:
    async with auth.database.auth_transaction() as session:
        await session.exec(INSERT_CLIENT, {**app._asdict(), "fetched_at": now() if fetched else None})
    async with auth.database.auth_transaction() as session:
        await session.exec(PRUNE_CLIENTS)


def _read_metadata(client_id: str, metadata: Any) -> OAuthApp:
    if not isinstance(metadata, dict):
        raise ClientMetadataInvalid("The metadata are a JSON object.")
    redirects = metadata.get("redirect_uris")
    if not isinstance(redirects, list) or not 1 <= len(redirects) <= REDIRECTS_MAX:
        raise RedirectInvalid(f"redirect_uris is a list of 1 to {REDIRECTS_MAX} URIs.")
    if not all(isinstance(uri, str) and is_redirect_uri(uri) for uri in redirects):
        raise RedirectInvalid
    for name, needed in (("grant_types", "authorization_code"), ("response_types", "code")):
        value = metadata.get(name)
        if value is not None and (not isinstance(value, list) or needed not in value):
            raise ClientMetadataInvalid(f"{name} must have {needed}.")
    has_url = is_client_url(client_id)
    if has_url and (metadata.get("token_endpoint_auth_method", "none") != "none" or "client_secret" in metadata):
        raise ClientMetadataInvalid("token_endpoint_auth_method must be none.")
    return OAuthApp(client_id, _read_name(metadata.get("client_name")), redirects)


def _read_name(value: Any) -> str:
    """Returns a name without characters that could rearrange the page that shows it."""
    name = "".join(c for c in value[: 8 * CLIENT_NAME_MAX] if c.isprintable()) if isinstance(value, str) else ""
    return " ".join(name.split())[:CLIENT_NAME_MAX] or "Unnamed app"
