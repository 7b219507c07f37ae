"""One file a noun. Importing this package registers every table."""

from sqlmodel import SQLModel

from app.models.accounts import Account, PasswordReset
from app.models.api_tokens import ApiToken
from app.models.changes import Change
from app.models.login_attempts import LoginAttempt
from app.models.sessions import LoginSession, RefreshToken
from app.models.tasks import Task
from app.models.users import User

__all__ = [
    "METADATA",
    "Account",
    "ApiToken",
    "Change",
    "LoginAttempt",
    "LoginSession",
    "PasswordReset",
    "RefreshToken",
    "Task",
    "User",
]

METADATA = SQLModel.metadata
