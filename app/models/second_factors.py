"""Second factors: authenticator apps, passkeys, recovery codes, and logins that wait for a factor."""

from datetime import datetime
from typing import Any

from pydantic import BaseModel, Field
from sqlalchemy import BigInteger, DateTime, ForeignKeyConstraint, LargeBinary, Text
from sqlmodel import Field as Col
from sqlmodel import Index, SQLModel

from app.models.columns import nullable_instant, written_at
from app.models.types import Instant


class TotpSecret(SQLModel, table=True):
    """The secret that an authenticator app shares; in use once it is confirmed by a first code.

    Of no code at or before ``last_step`` there is a second use.
    """

    __tablename__ = "totp_secrets"
    __table_args__ = (ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="totp_secrets_user_id_fkey"),)

    user_id: str = Col(primary_key=True, sa_type=Text)
    secret: bytes = Col(sa_type=LargeBinary)
    created_at: datetime = written_at()
    confirmed_at: datetime | None = nullable_instant()
    last_used_at: datetime | None = nullable_instant()
    last_step: int | None = Col(default=None, sa_type=BigInteger)


class RecoveryCode(SQLModel, table=True):
    """The SHA-256 of a code that replaces a factor once."""

    __tablename__ = "recovery_codes"
    __table_args__ = (ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="recovery_codes_user_id_fkey"),)

    user_id: str = Col(primary_key=True, sa_type=Text)
    code_hash: bytes = Col(primary_key=True, sa_type=LargeBinary)
    created_at: datetime = written_at()
    used_at: datetime | None = nullable_instant()


class LoginChallenge(SQLModel, table=True):
    """A login whose first factor was right, until the second comes; as the SHA-256 of the token that continues it."""

    __tablename__ = "login_challenges"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="login_challenges_user_id_fkey"),
        Index("login_challenges_by_hash", "challenge_hash"),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    challenge_hash: bytes = Col(primary_key=True, sa_type=LargeBinary)
    created_at: datetime = written_at()
    expires_at: datetime = Col(sa_type=DateTime(timezone=True))


class PasskeyRow(SQLModel, table=True):
    """The public half of a passkey. ``credential_id``: by which its device knows it."""

    __tablename__ = "passkeys"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="passkeys_user_id_fkey"),
        Index("passkeys_by_credential", "credential_id", unique=True),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: str = Col(primary_key=True, sa_type=Text)
    credential_id: bytes = Col(sa_type=LargeBinary)
    public_key: bytes = Col(sa_type=LargeBinary)
    sign_count: int = Col(sa_type=BigInteger)
    name: str = Col(sa_type=Text)
    created_at: datetime = written_at()
    last_used_at: datetime | None = nullable_instant()


class PasskeyChallenge(SQLModel, table=True):
    """Bytes that a browser is to sign, as their SHA-256, and that of the secret of whom it is asked."""

    __tablename__ = "passkey_challenges"
    __table_args__ = (Index("passkey_challenges_by_end", "expires_at"),)

    challenge_hash: bytes = Col(primary_key=True, sa_type=LargeBinary)
    bound_hash: bytes = Col(sa_type=LargeBinary)
    expires_at: datetime = Col(sa_type=DateTime(timezone=True))


class TotpRead(BaseModel):
    """An authenticator app that is in use."""

    confirmed_at: Instant
    last_used_at: Instant | None


class PasskeyRead(BaseModel):
    id: str
    name: str
    created_at: Instant
    last_used_at: Instant | None


class FactorsRead(BaseModel):
    """The second factors of the account; ``totp`` is null without an authenticator app."""

    totp: TotpRead | None
    passkeys: list[PasskeyRead]
    recovery_codes_left: int


class QrCodeRead(BaseModel):
    """A QR code: an SVG with ``viewBox="0 0 size size"``, a white background and this path in black."""

    size: int
    path: str


class TotpCreated(BaseModel):
    """The secret of an authenticator app, which no other response shows. It counts once a code confirms it."""

    secret: str = Field(description="In base32, to type into an app.")
    uri: str = Field(description="For a QR code, or a link on the device that has the app.")
    qr_code: QrCodeRead


class RecoveryCodesCreated(BaseModel):
    """Codes that no other response shows. Empty if the account has had some before."""

    recovery_codes: list[str]


class PasskeyCreated(RecoveryCodesCreated):
    passkey: PasskeyRead


class PasskeyOptions(BaseModel):
    """``options`` for the ``publicKey`` of ``navigator.credentials``, by ``parse...OptionsFromJSON()`` (WebAuthn)."""

    options: dict[str, Any]


class WaitingChallenge(BaseModel):
    """A login that waits for a second factor; ``passkey_options`` are null if no passkey of it can be used here."""

    methods: list[str]
    passkey_options: dict[str, Any] | None
