"""Tables and their shapes, one file a noun. Importing this package registers every table."""

from sqlalchemy import DDL, event
from sqlmodel import SQLModel

from app.models.accounts import Account, PasswordResetToken
from app.models.api_tokens import ApiToken
from app.models.calendar_feeds import CalendarFeed
from app.models.changes import Change
from app.models.channels import Channel, ChannelSecrets, Delivery
from app.models.comments import Comment
from app.models.conversations import AgentWrite, Conversation, Message, TokenUse
from app.models.idempotency import IdempotencyKey
from app.models.login_attempts import LoginAttempt
from app.models.oauth import OAuthClient, OAuthCode
from app.models.oidc import OidcLink, OidcSignIn
from app.models.projects import Project
from app.models.rate_limits import RateLimit
from app.models.second_factors import LoginChallenge, PasskeyChallenge, PasskeyRow, RecoveryCode, TotpSecret
from app.models.sessions import LoginSession, RefreshToken
from app.models.sql_functions import SQL_FUNCTIONS
from app.models.tags import TagColor
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
    "Channel",
    "ChannelSecrets",
    "Comment",
    "Conversation",
    "Delivery",
    "IdempotencyKey",
    "LoginAttempt",
    "LoginChallenge",
    "LoginSession",
    "Message",
    "OAuthClient",
    "OAuthCode",
    "OidcLink",
    "OidcSignIn",
    "PasskeyChallenge",
    "PasskeyRow",
    "PasswordResetToken",
    "Project",
    "RateLimit",
    "RecoveryCode",
    "RefreshToken",
    "TagColor",
    "Task",
    "TokenUse",
    "TotpSecret",
    "User",
    "View",
    "Webhook",
    "WebhookDelivery",
]

METADATA = SQLModel.metadata
for function in SQL_FUNCTIONS:
    event.listen(METADATA, "before_create", DDL(function.replace("%", "%%")))  # type: ignore[no-untyped-call]
