"""Tables and their shapes, one file a noun. Importing this package registers every table."""

from sqlalchemy import DDL, event
from sqlmodel import SQLModel

from app.models.accounts import Account, PasswordResetToken
from app.models.api_tokens import ApiToken
from app.models.calendar_feeds import CalendarFeed
from app.models.changes import Change
from app.models.comments import Comment
from app.models.conversations import AgentWrite, Conversation, Message, TokenUse
from app.models.idempotency import IdempotencyKey
from app.models.login_attempts import LoginAttempt
from app.models.projects import Project
from app.models.rate_limits import RateLimit
from app.models.sessions import LoginSession, RefreshToken
from app.models.sql_functions import SQL_FUNCTIONS
from app.models.tasks import Task
from app.models.users import User
from app.models.views import View
from app.models.webhooks import Webhook, WebhookDelivery

__all__ = [
    "METADATA",
    "Account",
    "AgentWrite",
    "ApiToken",
    "CalendarFeed",
    "Change",
    "Comment",
    "Conversation",
    "IdempotencyKey",
    "LoginAttempt",
    "LoginSession",
    "Message",
    "PasswordResetToken",
    "Project",
    "RateLimit",
    "RefreshToken",
    "Task",
    "TokenUse",
    "User",
    "View",
    "Webhook",
    "WebhookDelivery",
]

METADATA = SQLModel.metadata
for function in SQL_FUNCTIONS:
    event.listen(METADATA, "before_create", DDL(function.replace("%", "%%")))  # type: ignore[no-untyped-call]
