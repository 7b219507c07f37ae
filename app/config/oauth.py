"""The settings of OAuth: apps that users connect."""

from typing import Literal

from pydantic import BaseModel, Field, field_validator

from app.config.rules import CommaSeparated, origin_as_sent, split_list

# Agents that call /mcp from a page, or with the Origin of one.
AGENT_ORIGINS = (
    "https://chatgpt.com",
    "https://chat.openai.com",
    "https://claude.ai",
    "https://claude.com",
    "https://vscode.dev",
)


class OAuthSettings(BaseModel):
    """A part of Settings, in a file of its own for its length."""

    # Connected apps
    oauth: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Let users connect apps by OAuth. auto: if PUBLIC_URL is https://, or the service is called by "
        "localhost, and no other issuer is set.",
    )
    oauth_registration: bool = Field(
        True, description="Let apps register themselves (RFC 7591). Those with metadata of their own need not."
    )
    oauth_access_ttl: int = Field(86_400, ge=1, description="Lifetime of an app's access token, in seconds.")
    oauth_idle: int = Field(2_592_000, ge=1, description="An app is disconnected if unused for this time, in seconds.")
    oauth_absolute: int = Field(31_536_000, ge=1, description="An app is disconnected after this time, in seconds.")
    mcp_origins: CommaSeparated = Field(
        default_factory=lambda: list(AGENT_ORIGINS),
        description="Origins of agents that may call /mcp, besides CORS_ORIGINS, comma separated.",
    )

    @field_validator("mcp_origins", mode="before")
    @classmethod
    def _split_origins(cls, value: object) -> object:
        return split_list(value)

    @field_validator("mcp_origins")
    @classmethod
    def _whole_origins(cls, value: list[str]) -> list[str]:
        return [origin_as_sent(origin) for origin in value]
