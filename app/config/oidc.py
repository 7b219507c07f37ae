"""The settings of OpenID Connect: the providers by which users sign in."""

import json
import re
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from app.config.rules import CommaSeparated, split_list

SINGLE_PROVIDER_ID = "default"
PROVIDER_ID_PATTERN = r"[a-z0-9][a-z0-9_-]{0,39}"  # a segment of the redirect URI


def _lower_domains(value: object) -> object:
    found = split_list(value)
    if not isinstance(found, list):
        return found
    return [part.lower().removeprefix("@") if isinstance(part, str) else part for part in found]


class OidcProvider(BaseModel):
    """One entry of OIDC_PROVIDERS, or the provider of the single settings."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=f"^{PROVIDER_ID_PATTERN}$")
    issuer: str
    client_id: str = Field(min_length=1)
    client_secret: SecretStr | None = None
    name: str = ""
    scopes: str = "openid email profile"
    allowed_domains: CommaSeparated = Field(default_factory=list)

    @field_validator("issuer")
    @classmethod
    def _issuer_url(cls, value: str) -> str:
        check_issuer(value)
        return value

    @field_validator("scopes")
    @classmethod
    def _openid_scope(cls, value: str) -> str:
        if "openid" not in value.split():
            raise ValueError("scopes must have openid")
        return value

    @field_validator("allowed_domains", mode="before")
    @classmethod
    def _domains(cls, value: object) -> object:
        return _lower_domains(value)

    @property
    def label(self) -> str:
        """Returns the name on the button of the login."""
        return self.name.strip() or urlsplit(self.issuer).hostname or self.id


class OidcSettings(BaseModel):
    """A part of Settings, in a file of its own for its length."""

    # Sign in with OpenID Connect
    oidc_issuer: str | None = Field(
        None, description="Issuer of a provider by which users sign in, as https://auth.example.com/realms/home."
    )
    oidc_client_id: str | None = Field(
        None,
        description="Client id there. Its redirect URI is PUBLIC_URL/api/auth/oidc/default/callback; of a provider "
        "of OIDC_PROVIDERS its id stands for default.",
    )
    oidc_client_secret: SecretStr | None = Field(None, description="Client secret there. Empty: a public client.")
    oidc_name: str = Field("", description="Name on its button. Empty: the host of the issuer.")
    oidc_allowed_domains: CommaSeparated = Field(
        default_factory=list,
        description="Domains of the verified e-mails that may sign in by it, comma separated. Empty: any.",
    )
    oidc_providers: Annotated[list[OidcProvider], NoDecode] = Field(
        default_factory=list,
        description='Further providers, as a JSON list: [{"id": "work", "issuer": "https://...", "client_id": "...", '
        '"client_secret": "...", "name": "Work", "scopes": "openid email profile", "allowed_domains": ["x.example"]}].',
    )

    @field_validator("oidc_issuer")
    @classmethod
    def _url_of_issuer(cls, value: str | None) -> str | None:
        if value:
            check_issuer(value)
        return value

    @field_validator("oidc_allowed_domains", mode="before")
    @classmethod
    def _split_domains(cls, value: object) -> object:
        return _lower_domains(value)

    @field_validator("oidc_providers", mode="before")
    @classmethod
    def _read_list(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        try:
            return json.loads(value)
        except ValueError:
            raise ValueError("a JSON list of objects") from None

    @field_validator("oidc_providers")
    @classmethod
    def _distinct_ids(cls, value: list[OidcProvider]) -> list[OidcProvider]:
        ids = [provider.id for provider in value]
        if len(set(ids)) < len(ids) or SINGLE_PROVIDER_ID in ids:
            raise ValueError(f"each id stands once, and {SINGLE_PROVIDER_ID} is that of OIDC_ISSUER")
        return value

    @property
    def login_providers(self) -> list[OidcProvider]:
        """Returns all providers, that of OIDC_ISSUER first."""
        single = []
        if self.oidc_issuer and self.oidc_client_id:
            single = [
                OidcProvider(
                    id=SINGLE_PROVIDER_ID,
                    issuer=self.oidc_issuer,
                    client_id=self.oidc_client_id,
                    client_secret=self.oidc_client_secret,
                    name=self.oidc_name,
                    allowed_domains=self.oidc_allowed_domains,
                )
            ]
        return [*single, *self.oidc_providers]


def check_issuer(url: str) -> None:
    """Raises ValueError for what is no issuer: a URL of http or https without user, query and fragment."""
    parts = urlsplit(url)
    good = parts.scheme in {"http", "https"} and parts.hostname and "@" not in parts.netloc
    if not good or re.search(r"[?#\s]", url):
        raise ValueError("the URL of an issuer, as https://auth.example.com, with the path that it has itself")
