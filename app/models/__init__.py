"""One file a noun. Importing this package registers every table."""

from sqlmodel import SQLModel

from app.models.changes import Change
from app.models.idempotency import IdempotencyKey
from app.models.tasks import Task
from app.models.users import User
from app.models.webhooks import Webhook, WebhookDelivery

__all__ = ["METADATA", "Change", "IdempotencyKey", "Task", "User", "Webhook", "WebhookDelivery"]

METADATA = SQLModel.metadata
