"""Shapes of proving a second factor."""

from typing import Annotated, Any

from pydantic import ConfigDict, Field, StrictStr, model_validator

from app.models.types import RequestModel, field_error, visible
from app.schemas.auth import TokenText

PASSKEY_NAME_MAX = 100

FactorCode = Annotated[
    StrictStr,
    Field(
        min_length=1,
        max_length=64,
        description="Six digits of the authenticator app, or a recovery code.",
        examples=["287082"],
    ),
]


PasskeyAnswer = Annotated[
    dict[str, Any],
    Field(description="What `navigator.credentials` returned, by its `toJSON()` (WebAuthn)."),
]
PasskeyName = Annotated[
    StrictStr, visible(PASSKEY_NAME_MAX), Field(min_length=1, max_length=PASSKEY_NAME_MAX, examples=["Phone"])
]


class FactorProof(RequestModel):
    """``code`` or ``passkey``: of the authenticator app or a recovery code, or a passkey's answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"code": "287082"}]})

    code: FactorCode | None = None
    passkey: PasskeyAnswer | None = None

    @model_validator(mode="after")
    def _is_one(self) -> "FactorProof":
        if (self.code is None) == (self.passkey is None):
            raise field_error("code", "factor_needed", "Send code or passkey.")
        return self


class CodeProof(RequestModel):
    code: FactorCode


class LoginProof(FactorProof):
    """``challenge`` is in the response of the login; where a sign-in provider came first, in a cookie."""

    challenge: TokenText | None = None


class WaitingLogin(RequestModel):
    """The ``challenge`` of a login that waits; where a sign-in provider came first, in a cookie."""

    challenge: TokenText | None = None


class PasskeyLogin(RequestModel):
    passkey: PasskeyAnswer


class PasskeyCreate(RequestModel):
    name: PasskeyName
    passkey: PasskeyAnswer
