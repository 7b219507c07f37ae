"""Sign-in with OpenID Connect: the links of accounts to providers, and the sign-ins that have begun."""

from datetime import datetime

from pydantic import BaseModel, Field
from sqlalchemy import DateTime, ForeignKeyConstraint, LargeBinary, Text, text
from sqlmodel import Field as Col
from sqlmodel import Index, SQLModel

from app.models.columns import written_at
from app.models.types import Instant


class OidcLink(SQLModel, table=True):
    """A user of a provider, who may log in to an account. ``email``: as the provider last named it."""

    __tablename__ = "oidc_links"
    __table_args__ = (
        ForeignKeyConstraint(["user_id"], ["accounts.user_id"], name="oidc_links_user_id_fkey"),
        Index("oidc_links_by_subject", "issuer", "subject", unique=True),
    )

    user_id: str = Col(primary_key=True, sa_type=Text)
    id: str = Col(primary_key=True, sa_type=Text)
    provider: str = Col(sa_type=Text)
    issuer: str = Col(sa_type=Text)
    subject: str = Col(sa_type=Text)
    email: str = Col(sa_type=Text, sa_column_kwargs={"server_default": text("''")})
    created_at: datetime = written_at()
    last_used_at: datetime = written_at()


class OidcSignIn(SQLModel, table=True):
    """A sign-in that a browser has begun, until it comes back. With a session it links that session's account."""

    __tablename__ = "oidc_sign_ins"
    __table_args__ = (Index("oidc_sign_ins_by_end", "expires_at"),)

    state_hash: bytes = Col(primary_key=True, sa_type=LargeBinary)
    browser_hash: bytes = Col(sa_type=LargeBinary)
    provider: str = Col(sa_type=Text)
    nonce: str = Col(sa_type=Text)
    verifier: str = Col(sa_type=Text)
    next_url: str = Col(sa_type=Text)
    linking_user_id: str | None = Col(default=None, sa_type=Text)
    linking_session_id: str | None = Col(default=None, sa_type=Text)
    expires_at: datetime = Col(sa_type=DateTime(timezone=True))


class LoginProviderRead(BaseModel):
    """A provider by which users can sign in. ``start_path``: where a browser begins, perhaps with ``?next=``."""

    id: str
    name: str
    start_path: str


class OidcLinkRead(BaseModel):
    """A user of a provider, who may log in to the account."""

    id: str
    provider: str
    name: str = Field(description="Of the provider; its issuer if the operator has removed it.")
    subject: str
    email: str
    created_at: Instant
    last_used_at: Instant


class LinkStarted(BaseModel):
    """``url`` is the provider's page, to which the browser goes next."""

    url: str
