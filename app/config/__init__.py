"""Every setting, with default and validation. The only module that reads the environment."""

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AliasChoices,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.config.backup import BackupSettings
from app.config.caldav import CaldavSettings
from app.config.oauth import OAuthSettings
from app.config.oidc import OidcSettings
from app.config.rules import (
    URL_BEGINNINGS,
    CommaSeparated,
    check_beginning,
    check_opened,
    check_proxies,
    combine_problems,
    find_contradictions,
    list_problems,
    origin_as_sent,
    public_url_as_used,
    split_list,
    without_default_port,
)

MIN_SECRET_BYTES = 32  # RFC 7518, 3.2: an HS256 key is at least as long as the hash
_FIELD_NAME_PATTERN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")  # RFC 9110, 5.1
ENV_FILE, ENV_ENCODING = ".env", "utf-8-sig"  # editors on Windows write a mark, which the first name would begin with


class Settings(OAuthSettings, OidcSettings, BackupSettings, CaldavSettings, BaseSettings):
    """Read from the environment and ``.env``. Durations are in seconds, sizes in bytes."""

    model_config = SettingsConfigDict(
        env_file=ENV_FILE, env_file_encoding=ENV_ENCODING, extra="ignore", env_ignore_empty=True
    )

    # Connections
    web_concurrency: int = Field(1, ge=1, le=64, description="Worker processes.")
    max_connections: int = Field(4096, ge=1, description="Connections of clients per process.")
    allowed_hosts: CommaSeparated = Field(
        default_factory=list, description="Host names that the Host header may have, comma separated. Empty: any."
    )
    header_timeout: float = Field(10, gt=0, description="Longest wait for the headers of a request, in seconds.")
    body_idle_timeout: float = Field(10, gt=0, description="Longest pause within a body, in seconds.")
    body_timeout: float = Field(30, gt=0, description="Seconds that a body may be late, measured by BODY_MIN_RATE.")
    body_min_rate: int = Field(1024, ge=1, description="Lowest rate of a request body, in bytes a second.")
    write_timeout: float = Field(
        60, ge=1, description="Longest time in which a client reads nothing of a response, in seconds. On Linux."
    )
    keep_alive: int = Field(75, ge=0, description="Idle timeout of a client connection, in seconds.")
    header_limit: int = Field(16_384, ge=1024, description="Largest headers of a request in total, in bytes.")
    headers_max: int = Field(100, ge=10, description="Most headers of a request.")
    url_limit: int = Field(8192, ge=256, description="Longest URL, in bytes.")

    # Rate limits; 0 switches one off
    rate_limit_per_minute: int = Field(1200, ge=0, description="Requests of one user; each process grants its share.")
    rate_limit_anonymous_per_minute: int = Field(
        300, ge=0, description="Requests of one IP address without a valid token; each process grants its share."
    )
    rate_limit_chat_per_minute: int = Field(20, ge=0, description="Messages of one user to the assistant.")
    rate_limit_import_per_hour: int = Field(30, ge=0, description="Imports of one user.")
    rate_limit_export_per_hour: int = Field(60, ge=0, description="Exports of one user, of tasks or of the account.")
    rate_limit_url: SecretStr | None = Field(
        None,
        description="Redis or Valkey that counts chat, import, export: redis://host:6379/0. Empty: PostgreSQL.",
    )

    # Observability
    slow_request_ms: int = Field(
        500, ge=0, description="Slower requests are logged, in milliseconds, at most 20 a second; 0: none."
    )
    metrics_host: str = Field("127.0.0.1", description="IP address of METRICS_PORT.")
    metrics_port: int | None = Field(
        None, ge=1, le=65_535, description="Port for Prometheus; each further process takes the next one. Empty: none."
    )
    metrics_token: SecretStr | None = Field(
        None, description="Bearer token for /metrics, for one process. Empty: no /metrics."
    )
    otel: bool = Field(
        False, description="OpenTelemetry by OTLP/HTTP to OTEL_EXPORTER_OTLP_ENDPOINT; needs the extra otel."
    )

    # Network
    host: str = Field("127.0.0.1", description="IP address to listen on.")
    port: int = Field(8000, ge=0, le=65535, description="Port to listen on.")
    forwarded_allow_ips: str = Field(
        "",
        description="Proxies whose X-Forwarded-For, X-Forwarded-Proto and X-Forwarded-Prefix are trusted, comma "
        "separated: IP addresses, networks, or * for all.",
    )

    # Database
    database_url: SecretStr | None = Field(
        None, description="Any PostgreSQL URL, as its provider prints it. Empty: the embedded PostgreSQL."
    )
    direct_database_url: SecretStr | None = Field(
        None, description="A direct connection (bypassing the pooler), for migrations. Empty: DATABASE_URL."
    )
    data_dir: Path = Field(Path("data"), description="Folder of the embedded PostgreSQL and the generated secrets.")
    auto_migrate: bool = Field(True, description="Bring the schema up to date when the service starts.")

    # Connection pool
    pool_size: int = Field(10, ge=1, le=200, description="Connections of a process to each PostgreSQL.")
    pool_timeout: float = Field(2.0, gt=0, description="Longest wait for a connection before 503, in seconds.")
    connect_timeout: float = Field(5.0, gt=0, description="Longest wait for a new connection, in seconds.")
    command_timeout: float = Field(10.0, gt=0, description="Longest wait for one statement, in seconds.")
    statement_cache: Literal["auto", "on", "off"] = Field(
        "auto",
        description="Prepared statements. auto: off if host or port are those of a transaction pooler, else on.",
    )

    # Authentication
    jwt_secret: SecretStr | None = Field(
        None,
        validation_alias=AliasChoices("jwt_secret", "better_auth_secret"),
        description="Shared HS256 secret, at least 32 bytes; BETTER_AUTH_SECRET is also read. "
        "Empty: generated and kept in DATA_DIR (embedded only).",
    )
    better_auth_url: str | None = Field(
        None, description="Base URL of a Better Auth server; its keys are fetched from /api/auth/jwks."
    )
    jwks_url: str | None = Field(None, description="JWKS of any other issuer; needs JWT_ISSUER.")
    jwt_issuer: str | None = Field(None, description="Required iss of tokens. Default: BETTER_AUTH_URL.")
    jwt_audience: str | None = Field(
        None, description="Required aud of tokens. Default if keys are fetched: BETTER_AUTH_URL, else JWT_ISSUER."
    )
    public_url: str = Field(
        "",
        description="URL of this service for clients, with the path at which a proxy serves it, if any: "
        "iss and aud of its own tokens. Empty: urn:todo.",
    )
    token_algorithm: Literal["HS256", "EdDSA"] = Field(
        "HS256", description="Signature of own tokens. EdDSA: others can verify them by /.well-known/jwks.json."
    )
    jwt_private_key: SecretStr | None = Field(
        None, description="Ed25519 key in PEM for EdDSA. Empty: generated and kept in DATA_DIR (embedded only)."
    )
    vapid_private_key: SecretStr | None = Field(
        None, description="P-256 key (PEM or base64url) for Web Push. Empty: generated and kept in DATA_DIR (embedded)."
    )
    token_ttl: int = Field(3600, ge=1, description="Lifetime of a token of 'todo token', in seconds.")
    cors_origins: CommaSeparated = Field(
        default_factory=list,
        description="Origins of browser front-ends, comma separated, also capacitor://localhost, app:// and the like; "
        "null stands for sandboxed pages and local files. Empty: any port of localhost.",
    )
    cors_headers: CommaSeparated = Field(
        default_factory=list,
        description="Further request headers of those front-ends, comma separated. Those of this API and of tracing "
        "(traceparent, baggage, sentry-trace and the like) are always accepted.",
    )

    # Accounts
    registration: Literal["open", "mail", "closed"] = Field(
        "open",
        description="mail: confirmed by mail, without disclosing whether an e-mail is taken. closed: by the operator.",
    )
    access_ttl: int = Field(900, ge=1, description="Lifetime of an access token, in seconds.")
    refresh_idle: int = Field(604_800, ge=1, description="A login session ends if unused for this time, in seconds.")
    refresh_absolute: int = Field(2_592_000, ge=1, description="A login session ends after this time, in seconds.")
    refresh_cookie: bool = Field(
        False,
        description="The refresh token always travels in an HttpOnly cookie, never in the body. "
        "false: only for clients that request it, like the web client.",
    )
    smtp_url: SecretStr | None = Field(
        None, description="Mail server: smtp://user:password@host:587 (STARTTLS if offered) or smtps://host:465."
    )
    mail_from: str = Field("todo@localhost", description="Sender of mails.")
    mail_to_log: Literal["auto", "on", "off"] = Field(
        "auto", description="Without SMTP_URL, write mails to the log, with tokens. auto: with embedded PostgreSQL."
    )
    reset_url: str = Field("", description="Page for reset mails; it gets ?token=. Empty: the web client's.")
    confirm_url: str = Field("", description="Page that confirms a new e-mail; the same applies.")

    # API
    list_shape: Literal["array", "envelope"] = Field(
        "array", description="Lists: a JSON array, or an object {tasks, total, ...}."
    )
    unknown_fields: Literal["refuse", "ignore"] = Field(
        "refuse", description="Unknown fields in body or query. ignore: X-Ignored-Fields names them in the response."
    )
    completed_name: Literal["completed", "both"] = Field(
        "completed", description="Of tasks in responses. both: also is_completed. Requests may have either."
    )
    description_max: int = Field(16_384, ge=1, le=100_000, description="Longest description, in characters.")
    body_limit: int = Field(1_048_576, ge=1024, description="Largest request body, in bytes.")
    import_limit: int = Field(67_108_864, ge=1024, description="Largest file to import, in bytes.")
    import_rows_max: int = Field(200_000, ge=1, description="Most rows of a file to import.")
    docs: bool = Field(True, description="Serve Swagger UI at /docs and the document at /openapi.json.")
    web_client: bool = Field(True, description="Serve the web client at /app; / redirects browsers there.")

    # Changes
    events_heartbeat: int = Field(20, ge=1, le=300, description="Seconds between heartbeats of an event stream.")
    changes_kept_days: int = Field(90, ge=2, le=36_500, description="Days for which changes are kept.")
    trash_kept_days: int = Field(30, ge=0, le=36_500, description="Days for which deleted rows are kept. 0: for ever.")
    outbound_allow: CommaSeparated = Field(
        default_factory=list,
        description="What webhooks may call besides https:// on the public internet, also by http://: host names, "
        "*.names, IP addresses and networks, comma separated. Link-local addresses and those of cloud metadata only if "
        "the address itself is named.",
    )
    webhooks_allow_private: bool = Field(
        False, description="Older name of OUTBOUND_ALLOW=0.0.0.0/0,::/0. For development only."
    )
    worker: Literal["inside", "off"] = Field(
        "inside",
        description="inside: this process also fires reminders, sends webhooks, prunes. off: 'todo worker' does.",
    )

    # Assistant
    llm_model: str = Field("", description="Model of the chat. Empty: no chat.")
    llm_base_url: str = Field(
        "https://api.openai.com/v1", description="Any OpenAI-compatible endpoint, e.g. http://127.0.0.1:11434/v1."
    )
    llm_api_key: SecretStr | None = Field(None, description="API key of that endpoint, if required.")
    llm_max_tokens_name: Literal["auto", "max_tokens", "max_completion_tokens"] = Field(
        "auto",
        description="Name under which the endpoint expects CHAT_ANSWER_TOKENS. auto: max_tokens, and "
        "max_completion_tokens once the endpoint has refused it.",
    )
    chat_turns: int = Field(8, ge=1, le=50, description="Most calls of the model for one message.")
    chat_tool_calls: int = Field(20, ge=1, le=200, description="Most calls of tools for one message.")
    chat_seconds: float = Field(60, gt=0, le=600, description="Longest time for one message, in seconds.")
    chat_history: int = Field(40, ge=1, le=500, description="Earlier messages that are sent to the model.")
    chat_context_tokens: int = Field(
        8000, ge=500, description="Longest history that is sent to the model, in tokens (estimated: 4 bytes each)."
    )
    chat_answer_tokens: int = Field(1000, ge=16, description="Longest answer of the model in one call, in tokens.")
    chat_daily_tokens: int = Field(
        200_000, ge=0, description="Tokens of the model per user and day (UTC). 0: no limit."
    )
    chat_confirm: Literal["destructive", "off"] = Field(
        "destructive",
        description="destructive: deletions need the user's confirmation, unless the message asks for one by "
        "number, such as delete task 3. off: none do.",
    )
    mcp_hosts: CommaSeparated = Field(
        default_factory=list,
        description="Host names for /mcp besides localhost and that of PUBLIC_URL, comma separated.",
    )

    # todo mcp: the tools for a desktop agent
    todo_url: str = Field("http://127.0.0.1:8000", description="URL of the service for 'todo mcp'.")
    todo_token: SecretStr | None = Field(None, description="API token for 'todo mcp'.")

    # Logging
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level that is logged.")
    log_format: Literal["auto", "json", "console"] = Field(
        "auto", description="auto: console on a terminal, else JSON."
    )
    access_log: bool = Field(True, description="One line per request: method, route, status, milliseconds.")

    @field_validator("public_url", "todo_url")
    @classmethod
    def _no_slash(cls, value: str) -> str:
        return value.rstrip("/")

    @field_validator("public_url")
    @classmethod
    def _web_url(cls, value: str) -> str:
        return public_url_as_used(value)

    @field_validator(*URL_BEGINNINGS)
    @classmethod
    def _known_scheme(cls, value: SecretStr | str | None, info: ValidationInfo) -> SecretStr | str | None:
        url = value.get_secret_value() if isinstance(value, SecretStr) else value
        check_beginning(info.field_name or "", url or "")
        return value

    @field_validator("allowed_hosts", "cors_origins", "cors_headers", "mcp_hosts", "outbound_allow", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return split_list(value)

    @field_validator("allowed_hosts")
    @classmethod
    def _lower_case(cls, value: list[str]) -> list[str]:
        return [name.lower() for name in value]

    @field_validator("outbound_allow")
    @classmethod
    def _names_and_networks(cls, value: list[str]) -> list[str]:
        check_opened(value)
        return value

    @field_validator("forwarded_allow_ips")
    @classmethod
    def _addresses_of_proxies(cls, value: str) -> str:
        check_proxies(value)
        return value

    @field_validator("cors_origins")
    @classmethod
    def _known_origins(cls, value: list[str]) -> list[str]:
        if any("*" in origin for origin in value):
            raise ValueError("name each origin: '*' would let any site use a visitor's session")
        return [origin_as_sent(origin) for origin in value]

    @field_validator("cors_headers")
    @classmethod
    def _field_names(cls, value: list[str]) -> list[str]:
        for name in value:
            if name == "*" or not _FIELD_NAME_PATTERN.fullmatch(name):
                raise ValueError(f"name each header: {name!r}")
            if name.lower() == "x-refresh-cookie":
                raise ValueError("X-Refresh-Cookie is for pages of this service alone")
        return value

    @field_validator("host", "metrics_host")
    @classmethod
    def _without_brackets(cls, value: str) -> str:
        return value[1:-1] if value.startswith("[") and value.endswith("]") else value

    @field_validator("jwt_secret")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value().encode()) < MIN_SECRET_BYTES:
            raise ValueError(f"must be at least {MIN_SECRET_BYTES} bytes, e.g. the output of: openssl rand -base64 48")
        return value

    @model_validator(mode="wrap")
    @classmethod
    def _name_all_problems(cls, given: Any, handler: ModelWrapValidatorHandler["Settings"]) -> "Settings":
        """Reports settings that contradict each other together with those that are wrong by themselves."""
        try:
            settings = handler(given)
        except ValidationError as error:
            problems = [*list_problems(error), *(((), text) for text in find_contradictions(given))]
        else:
            problems = [((), text) for text in find_contradictions(vars(settings))]
            if not problems:
                return settings
        raise combine_problems(cls.__name__, problems)

    @property
    def public_base(self) -> str:
        """Returns PUBLIC_URL as the beginning of URLs, as clients compare them: host in lower case, no default port.

        Empty if it is not set, or only a name, such as a urn.
        """
        url = urlsplit(self.public_url)
        if url.scheme.lower() not in {"http", "https"}:
            return ""
        return without_default_port(f"{url.scheme}://{url.netloc}".lower()) + url.path

    @property
    def public_path(self) -> str:
        """Returns the path prefix at which a proxy serves this service; empty for the root of its host."""
        return urlsplit(self.public_base).path

    @property
    def public_origin(self) -> str:
        """Returns the origin of this service's own pages, as browsers send it; empty without PUBLIC_URL."""
        return self.public_base.removesuffix(self.public_path)

    @property
    def embedded(self) -> bool:
        """Returns whether PostgreSQL is embedded."""
        return self.database_url is None

    @property
    def logs_mail(self) -> bool:
        """Returns whether mails are written to the log because there is no mail server."""
        return self.smtp_url is None and (self.mail_to_log == "on" or (self.mail_to_log == "auto" and self.embedded))


@lru_cache
def get_settings() -> Settings:
    """Returns the settings of this process, read once."""
    return Settings()


def override_settings(**values: object) -> None:
    """Sets ``values`` over the environment, also for the processes that this one starts."""
    for variable in [name for name in os.environ if name.lower() in values]:
        del os.environ[variable]
    os.environ.update({name.upper(): str(value) for name, value in values.items()})
    get_settings.cache_clear()


def inherited_environment() -> dict[str, str]:
    """Returns the environment for child processes: PATH, HOME, folder of temporary files."""
    return dict(os.environ)
