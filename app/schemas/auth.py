"""Shapes of logging in and out."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from app.models.accounts import AccountRead, EmailAddress, GivenPassword, NewPassword
from app.models.types import RequestModel

TokenText = Annotated[StrictStr, Field(min_length=1, max_length=512)]


class Login(RequestModel):
    model_config = ConfigDict(
        json_schema_extra={"examples": [{"email": "alice@example.com", "password": "correct horse battery"}]}
    )

    email: EmailAddress
    password: GivenPassword


class Refresh(RequestModel):
    """Empty where the refresh token is in its cookie."""

    refresh_token: TokenText | None = None


class PasswordChange(RequestModel):
    current_password: GivenPassword
    new_password: NewPassword


class PasswordForgotten(RequestModel):
    email: EmailAddress


class PasswordReset(RequestModel):
    token: TokenText
    new_password: NewPassword


class EmailConfirmation(RequestModel):
    token: TokenText


class PasswordConfirmation(RequestModel):
    """For actions that cannot be undone."""

    password: GivenPassword


class Accepted(BaseModel):
    """The response is the same whether or not the account exists."""

    detail: str


class TokenPair(BaseModel):
    """``expires_in`` is the life of the access token in seconds. ``refresh_token`` is null in cookie mode."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int
    refresh_token: str | None
    user: AccountRead
