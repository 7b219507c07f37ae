"""``/api/{user_id}/webhooks``: parameters in, one service call, status out."""

from fastapi import APIRouter, Request, Response, Security

from app.http.dependencies import Owner, ReadSession, WebhookId, WriteSession, bearer
from app.http.paths import item_path
from app.http.responses import Json, ShownOnce
from app.http.routing import DirectRoute
from app.models.webhooks import DeliveryRead, WebhookCreated, WebhookRead
from app.schemas.auth import Accepted
from app.schemas.webhooks import WebhookCreate, WebhookUpdate
from app.services.webhooks import subscriptions

router = APIRouter(
    prefix="/api/{user_id}/webhooks", tags=["webhooks"], route_class=DirectRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=list[WebhookRead])
async def list_webhooks(owner: Owner, session: ReadSession) -> Response:
    """Returns all webhooks, with the reason why one is not active."""
    return Json(await subscriptions.list_webhooks(session, owner))


@router.post("", status_code=201, response_model=WebhookCreated)
async def create_webhook(request: Request, owner: Owner, session: WriteSession, webhook: WebhookCreate) -> Response:
    """Creates a webhook: each event from now on is sent to `url`, in order, signed by Standard Webhooks.

    The secret is shown once. An event is delivered at least once, with the same `webhook-id` in each attempt. Responses
    other than 2xx are retried with growing pauses; after 24 hours without success the webhook is disabled.
    """
    policy = request.app.state.outbound_policy
    created = await subscriptions.create_webhook(session, owner, webhook, policy=policy)
    instead = f"Rotate the secret of webhook {created.id} to get a new one."
    return ShownOnce(created, 201, {"Location": item_path(request, created.id)}, instead=instead)


@router.get("/{webhook_id}", response_model=WebhookRead)
async def get_webhook(owner: Owner, session: ReadSession, webhook_id: WebhookId) -> Response:
    """Returns one webhook."""
    return Json(await subscriptions.get_webhook(session, owner, webhook_id))


@router.patch("/{webhook_id}", response_model=WebhookRead)
async def update_webhook(
    request: Request, owner: Owner, session: WriteSession, webhook_id: WebhookId, change: WebhookUpdate
) -> Response:
    """Changes the URL, the events, or whether it is active. Activated again, it continues where it stopped."""
    policy = request.app.state.outbound_policy
    return Json(await subscriptions.update_webhook(session, owner, webhook_id, change, policy=policy))


@router.delete("/{webhook_id}", status_code=204, response_class=Response)
async def delete_webhook(owner: Owner, session: WriteSession, webhook_id: WebhookId) -> Response:
    """Deletes a webhook and its deliveries."""
    await subscriptions.delete_webhook(session, owner, webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate", response_model=WebhookCreated)
async def rotate_secret(owner: Owner, session: WriteSession, webhook_id: WebhookId) -> Response:
    """Replaces the secret; the new one is shown once. For 24 hours each message is also signed with the old one."""
    rotated = await subscriptions.rotate_secret(session, owner, webhook_id)
    return ShownOnce(rotated, instead="Rotate it once more, with another Idempotency-Key.")


@router.post("/{webhook_id}/test", status_code=202, response_model=Accepted)
async def test_webhook(owner: Owner, session: WriteSession, webhook_id: WebhookId) -> Response:
    """Sends a `webhook.test` as soon as possible; its outcome is among the deliveries."""
    await subscriptions.test_webhook(session, owner, webhook_id)
    return Json({"detail": "The test will be sent; its outcome will be among the deliveries."}, 202)


@router.get("/{webhook_id}/deliveries", response_model=list[DeliveryRead])
async def list_deliveries(owner: Owner, session: ReadSession, webhook_id: WebhookId) -> Response:
    """Returns the latest attempts, latest first."""
    return Json(await subscriptions.list_deliveries(session, owner, webhook_id))
