"""``/api/{user_id}/webhooks``: parameters in, one service call, status out."""

from fastapi import APIRouter, Request, Response, Security

from app.http.dependencies import Owner, ReadSession, Session, WebhookId, bearer
from app.http.responses import Json, ShownOnce
from app.http.routing import DirectRoute
from app.models.webhooks import DeliveryRead, WebhookCreate, WebhookCreated, WebhookRead, WebhookUpdate
from app.services.webhooks import subscriptions

router = APIRouter(
    prefix="/api/{user_id}/webhooks", tags=["webhooks"], route_class=DirectRoute, dependencies=[Security(bearer)]
)


@router.get("", response_model=list[WebhookRead])
async def list_webhooks(owner: Owner, session: ReadSession) -> Response:
    """All subscriptions, with why one is not active."""
    return Json(await subscriptions.list_webhooks(session, owner))


@router.post("", status_code=201, response_model=WebhookCreated)
async def create_webhook(request: Request, owner: Owner, session: Session, webhook: WebhookCreate) -> Response:
    """Have each event from now on sent to `url`, in order, signed as Standard Webhooks says. The secret is shown once.

    An event comes at least once: `webhook-id` is the same for each attempt. Anything but 2xx is tried again, ever more
    slowly; after 24 hours without success the webhook is disabled, and says why.
    """
    private = request.app.state.settings.webhooks_allow_private
    created = await subscriptions.create_webhook(session, owner, webhook, allow_private=private)
    instead = f"Rotate the secret of webhook {created.id} to have a new one."
    return ShownOnce(created, 201, {"Location": f"/api/{owner}/webhooks/{created.id}"}, instead=instead)


@router.get("/{webhook_id}", response_model=WebhookRead)
async def get_webhook(owner: Owner, session: ReadSession, webhook_id: WebhookId) -> Response:
    """One subscription."""
    return Json(await subscriptions.get_webhook(session, owner, webhook_id))


@router.patch("/{webhook_id}", response_model=WebhookRead)
async def update_webhook(
    request: Request, owner: Owner, session: Session, webhook_id: WebhookId, change: WebhookUpdate
) -> Response:
    """Change where it goes, what is sent, or whether. Made active again, it goes on where it stopped."""
    private = request.app.state.settings.webhooks_allow_private
    return Json(await subscriptions.update_webhook(session, owner, webhook_id, change, allow_private=private))


@router.delete("/{webhook_id}", status_code=204, response_class=Response)
async def delete_webhook(owner: Owner, session: Session, webhook_id: WebhookId) -> Response:
    """No more events, and no more of its deliveries."""
    await subscriptions.delete_webhook(session, owner, webhook_id)
    return Response(status_code=204)


@router.post("/{webhook_id}/rotate", response_model=WebhookCreated)
async def rotate_secret(owner: Owner, session: Session, webhook_id: WebhookId) -> Response:
    """A new secret, shown once. For 24 hours each message is signed with the old one, too."""
    rotated = await subscriptions.rotate_secret(session, owner, webhook_id)
    return ShownOnce(rotated, instead="Rotate it once more, with another Idempotency-Key.")


@router.post("/{webhook_id}/test", status_code=202, response_class=Response)
async def test_webhook(owner: Owner, session: Session, webhook_id: WebhookId) -> Response:
    """Send a `webhook.test` as soon as possible; what became of it is among the deliveries."""
    await subscriptions.test_webhook(session, owner, webhook_id)
    return Response(status_code=202)


@router.get("/{webhook_id}/deliveries", response_model=list[DeliveryRead])
async def list_deliveries(owner: Owner, session: ReadSession, webhook_id: WebhookId) -> Response:
    """The latest attempts, latest first."""
    return Json(await subscriptions.list_deliveries(session, owner, webhook_id))
