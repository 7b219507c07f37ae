"""Accounts: users who log in here, and the shapes in which an account is created, read and changed."""

import unicodedata
from datetime import datetime
from functools import cache
from typing import Annotated, ClassVar
from zoneinfo import available_timezones

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email
from pydantic import MISSING, AfterValidator, BaseModel, ConfigDict, Field, StrictStr, model_validator
from pydantic_core import PydanticCustomError
from sqlalchemy import DateTime, ForeignKeyConstraint, LargeBinary, Text, UniqueConstraint, text
from sqlmodel import Field as Col
from sqlmodel import Index, SQLModel

from app.models.columns import nullable_instant, written_at
from app.models.types import Instant, RequestModel, UpdateModel, cleaned, field_error

EMAIL_MAX, ACCOUNT_NAME_MAX = 254, 100  # RFC 5321, 4.5.3.1.3: a path has 256 octets with its brackets
PASSWORD_MIN, PASSWORD_MAX = 8, 128
SPECIAL_USE_DOMAIN_NAMES.clear()  # the library's documented way to accept .local and .test: intranets have such names


class Account(SQLModel, table=True):
    """``email_key`` is the case-folded e-mail and unique. No ``password_hash``: not confirmed by mail yet.

    ``email_confirmed_at``: when its owner last proved to read mail to this e-mail; null if never.
    """

    __tablename__ = "accounts"
    __table_args__ = (UniqueConstraint("email_key", name="accounts_email_key_key"),)

    user_id: str = Col(primary_key=True, sa_type=Text)
    email: str = Col(sa_type=Text)
    email_key: str = Col(sa_type=Text)
    name: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    password_hash: str | None = Col(default=None, sa_type=Text)
    disabled_at: datetime | None = nullable_instant()
    email_confirmed_at: datetime | None = nullable_instant()
    created_at: datetime = written_at()


class PasswordResetToken(SQLModel, table=True):
    """The SHA-256 of a token that was mailed; valid for one new password."""

    __tablename__ = "password_resets"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="password_resets_user_id_fkey"),
        Index("password_resets_by_hash", "token_hash"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    token_hash: bytes = Col(primary_key=True, sa_type=LargeBinary)
    created_at: datetime = written_at()
    expires_at: datetime = Col(sa_type=DateTime(timezone=True))
    used_at: datetime | None = nullable_instant()


class EmailChange(SQLModel, table=True):
    """The e-mail that an account gets once a mail to it is confirmed, and the SHA-256 of the token in that mail."""

    __tablename__ = "email_changes"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="email_changes_user_id_fkey"),
        Index("email_changes_by_hash", "token_hash"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    email: str = Col(sa_type=Text)
    token_hash: bytes = Col(sa_type=LargeBinary)
    expires_at: datetime = Col(sa_type=DateTime(timezone=True))


def _email(value: str) -> str:
    try:
        # Names of an intranet are accepted, and there are no DNS queries.
        found = validate_email(value.strip(), check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError as error:
        raise PydanticCustomError("email", "Expected an e-mail address: {reason}", {"reason": str(error)}) from None
    return found.normalized


def fold_email(email: str) -> str:
    """Returns one key for all spellings of an e-mail that differ in case or compatibility forms only."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", email).casefold())


@cache
def known_time_zones() -> set[str]:
    return available_timezones()  # uncached it reads the folder of zones each time: 16 to 48 ms


def _timezone(value: str) -> str:
    if value not in known_time_zones():
        raise PydanticCustomError("timezone", "Expected a time zone of the IANA database, such as Europe/Berlin.")
    return value


EmailAddress = Annotated[
    StrictStr,
    Field(min_length=3, max_length=EMAIL_MAX, examples=["alice@example.com"]),
    cleaned(EMAIL_MAX),
    AfterValidator(_email),
    Field(json_schema_extra={"format": "email"}),
]
AccountName = Annotated[
    StrictStr,
    cleaned(ACCOUNT_NAME_MAX),
    AfterValidator(str.strip),
    Field(max_length=ACCOUNT_NAME_MAX, examples=["Alice"]),
]
TimeZone = Annotated[StrictStr, Field(max_length=64, examples=["Europe/Berlin"]), AfterValidator(_timezone)]
# No composition rules (NIST SP 800-63B, 3.1.1.2): only a length, and a list of common passwords elsewhere.
NewPassword = Annotated[
    StrictStr, Field(min_length=PASSWORD_MIN, max_length=PASSWORD_MAX, examples=["correct horse battery"])
]
GivenPassword = Annotated[StrictStr, Field(min_length=1, max_length=PASSWORD_MAX, examples=["correct horse battery"])]


class AccountCreate(RequestModel):
    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"email": "alice@example.com", "password": "correct horse battery", "name": "Alice"}]
        }
    )

    email: EmailAddress
    password: NewPassword
    name: AccountName = ""
    timezone: TimeZone = "UTC"


class AccountUpdate(UpdateModel):
    """Only the fields sent change. A new ``email`` needs ``current_password``, since mails to it can set a password."""

    model_config = ConfigDict(
        json_schema_extra={
            "minProperties": 1,
            "dependentRequired": {"email": ["current_password"]},
            "examples": [{"name": "Alice B.", "timezone": "Europe/Berlin"}],
        }
    )

    ABOUT: ClassVar[frozenset[str]] = frozenset({"current_password"})

    name: AccountName | MISSING = MISSING
    email: EmailAddress | MISSING = MISSING
    timezone: TimeZone | MISSING = MISSING
    current_password: GivenPassword | MISSING = MISSING

    @model_validator(mode="after")
    def _has_password(self) -> "AccountUpdate":
        if "email" in self.model_fields_set and "current_password" not in self.model_fields_set:
            raise field_error("current_password", "password_needed", "Send current_password to change the e-mail.")
        return self


class AccountRead(BaseModel):
    """An account as its owner sees it. ``id`` is the user id in paths."""

    id: str
    email: str
    pending_email: str | None = Field(description="Replaces `email` once the mail sent to it is confirmed.")
    email_confirmed_at: Instant | None = Field(description="When a mail to `email` was last confirmed.")
    name: str
    timezone: str
    created_at: Instant
