"""Webhooks of an owner. Their writes take no revision: clients do not sync subscriptions."""

import secrets
from base64 import b64encode
from typing import Any

import msgspec
from pydantic import MISSING
from sqlalchemy import text

from app.db.compiled import CompiledStatement
from app.db.session import Session
from app.errors import TooManyWebhooks, WebhookDisabled, WebhookNotFound
from app.models.webhooks import DeliveryRead, WebhookCreated, WebhookRead
from app.net.outbound import check_url, load_http_libraries
from app.net.outbound_policy import OutboundPolicy
from app.schemas.webhooks import WebhookCreate, WebhookUpdate
from app.services.users import get_revision, lock_or_create_owner

MAX_WEBHOOKS = 20
WebhookRow: Any = msgspec.defstruct("WebhookRow", list(WebhookRead.model_fields), frozen=True)
WebhookRowWithSecret: Any = msgspec.defstruct("WebhookRowWithSecret", list(WebhookCreated.model_fields), frozen=True)
DeliveryRow: Any = msgspec.defstruct("DeliveryRow", list(DeliveryRead.model_fields), frozen=True)

WEBHOOK_COLUMNS = "id, url, events, disabled_at is null as active, disabled_reason, failing_since, created_at"
IS_WEBHOOK = "user_id = :owner and id = :webhook_id"
SELECT_WEBHOOKS = CompiledStatement(text(f"select {WEBHOOK_COLUMNS} from webhooks where user_id = :owner order by id"))  # noqa: S608 - constants
SELECT_WEBHOOK = CompiledStatement(text(f"select {WEBHOOK_COLUMNS} from webhooks where {IS_WEBHOOK}"))  # noqa: S608
COUNT_WEBHOOKS = CompiledStatement(text("select count(*) from webhooks where user_id = :owner"))
INSERT_WEBHOOK = CompiledStatement(
    text(f"""
    insert into webhooks (user_id, url, events, secret, after_revision)
    values (:owner, :url, cast(:events as text[]), :secret, cast(:revision as bigint) + 1)
    returning {WEBHOOK_COLUMNS}, secret""")  # noqa: S608
)
UPDATE_WEBHOOK = CompiledStatement(
    text(f"""
    update webhooks set
        url = coalesce(:url, url), events = coalesce(cast(:events as text[]), events),
        disabled_at = case when cast(:active as boolean) then null when not :active then coalesce(disabled_at, now())
                      else disabled_at end,
        disabled_reason = case when :active then null
                          when not :active then coalesce(disabled_reason, 'Switched off.') else disabled_reason end,
        attempts = case when :active then 0 else attempts end,
        failing_since = case when :active then null else failing_since end,
        next_attempt_at = case when :active then now() else next_attempt_at end
    where {IS_WEBHOOK} returning {WEBHOOK_COLUMNS}"""),  # noqa: S608
    notifies=True,
)
ROTATE_SECRET = CompiledStatement(
    text(f"""
    update webhooks set previous_secret = secret, previous_secret_until = now() + interval '24 hours', secret = :secret
    where {IS_WEBHOOK} returning {WEBHOOK_COLUMNS}, secret""")  # noqa: S608
)
DELETE_WEBHOOK = CompiledStatement(text(f"delete from webhooks where {IS_WEBHOOK} returning id"))  # noqa: S608
REQUEST_TEST = CompiledStatement(
    text(f"update webhooks set test_requested = true where {IS_WEBHOOK} returning disabled_reason"),  # noqa: S608
    notifies=True,
)
SELECT_DELIVERIES = CompiledStatement(
    text("""
    select id, message_id, event, attempt, status, error, latency_ms, at from webhook_deliveries
    where user_id = :owner and webhook_id = :webhook_id order by id desc limit 100""")
)


def new_secret() -> str:
    """Returns a signing secret in the format of Standard Webhooks, which asks for 24 to 64 random bytes."""
    return "whsec_" + b64encode(secrets.token_bytes(32)).decode()


async def list_webhooks(session: Session, owner: str) -> list[Any]:
    return [WebhookRow(*row) for row in (await session.exec(SELECT_WEBHOOKS, {"owner": owner})).all()]


async def get_webhook(session: Session, owner: str, webhook_id: int) -> Any:
    """Returns a webhook. Raises WebhookNotFound."""
    return WebhookRow(*await _require_one(session, SELECT_WEBHOOK, owner, webhook_id))


async def create_webhook(session: Session, owner: str, webhook: WebhookCreate, *, policy: OutboundPolicy) -> Any:
    """Creates a webhook for events from now on. Raises UrlRefused and TooManyWebhooks."""
    await load_http_libraries()
    check_url(webhook.url, policy)
    values: dict[str, Any] = {"owner": owner, "url": webhook.url, "events": webhook.events, "secret": new_secret()}
    await lock_or_create_owner(session, owner)  # no concurrent write adds one after the count
    if (await session.exec(COUNT_WEBHOOKS, values)).one() >= MAX_WEBHOOKS:
        raise TooManyWebhooks
    values["revision"] = await get_revision(session, owner)
    return WebhookRowWithSecret(*(await session.exec(INSERT_WEBHOOK, values)).one())


async def update_webhook(
    session: Session, owner: str, webhook_id: int, change: WebhookUpdate, *, policy: OutboundPolicy
) -> Any:
    """Updates a webhook; when enabled again, it continues where it stopped. Raises WebhookNotFound and UrlRefused."""
    values = {
        name: None if (value := getattr(change, name)) is MISSING else value for name in ("url", "events", "active")
    }
    if values["url"] is not None:
        await load_http_libraries()
        check_url(values["url"], policy)
    return WebhookRow(*await _require_one(session, UPDATE_WEBHOOK, owner, webhook_id, **values))


async def rotate_secret(session: Session, owner: str, webhook_id: int) -> Any:
    """Sets a new secret; for a day messages are also signed with the old one. Raises WebhookNotFound."""
    return WebhookRowWithSecret(*await _require_one(session, ROTATE_SECRET, owner, webhook_id, secret=new_secret()))


async def delete_webhook(session: Session, owner: str, webhook_id: int) -> None:
    """Deletes a webhook. Raises WebhookNotFound."""
    await _require_one(session, DELETE_WEBHOOK, owner, webhook_id)


async def test_webhook(session: Session, owner: str, webhook_id: int) -> None:
    """Makes the worker send a ``webhook.test``. Raises WebhookNotFound and WebhookDisabled."""
    if await _require_one(session, REQUEST_TEST, owner, webhook_id):
        raise WebhookDisabled


async def list_deliveries(session: Session, owner: str, webhook_id: int) -> list[Any]:
    """Returns the latest attempts, latest first. Raises WebhookNotFound."""
    await _require_one(session, SELECT_WEBHOOK, owner, webhook_id)
    rows = (await session.exec(SELECT_DELIVERIES, {"owner": owner, "webhook_id": webhook_id})).all()
    return [DeliveryRow(*row) for row in rows]


async def _require_one(
    session: Session, statement: CompiledStatement, owner: str, webhook_id: int, **values: Any
) -> Any:
    rows = (await session.exec(statement, {"owner": owner, "webhook_id": webhook_id, **values})).all()
    if not rows:
        raise WebhookNotFound
    return rows[0]
