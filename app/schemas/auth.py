"""Shapes of logging in and out."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StrictStr

from app.models.accounts import AccountRead, EmailAddress, GivenPassword, NewPassword
from app.models.api_tokens import ApiTokenRead
from app.models.second_factors import FactorsRead
from app.models.types import Instant, RequestModel

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
    """The request was accepted, and its outcome shows later. Of mails: the same whether or not the account exists."""

    detail: str


class LoginSessionExport(BaseModel):
    id: str
    user_agent: str
    address: str
    created_at: Instant
    last_used_at: Instant
    ended_at: Instant | None


class AccountExport(BaseModel):
    """All data of an account, without secrets: also each table of the user's data, under its name, as stored."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, list[dict[str, Any]]]

    exported_at: Instant
    account: AccountRead
    factors: FactorsRead
    sessions: list[LoginSessionExport]
    api_tokens: list[ApiTokenRead]


class JsonWebKey(BaseModel):
    """A public key (RFC 8037)."""

    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    kid: str
    alg: Literal["EdDSA"]
    use: Literal["sig"]


class JsonWebKeySet(BaseModel):
    keys: list[JsonWebKey]


class TokenPair(BaseModel):
    """``expires_in`` is the life of the access token in seconds. ``refresh_token`` is null in cookie mode.

    The last four fields are those of ``user``.
    """

    access_token: str
    token_type: Literal["bearer"] = "bearer"
    expires_in: int
    refresh_token: str | None
    user: AccountRead
    id: str
    email: str
    name: str
    created_at: Instant
