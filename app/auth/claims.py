"""Rules for the claims of a verified token, and the identity that they hold."""

import json
from typing import Any, NamedTuple

from app.config import Settings
from app.domain.user_ids import USER_ID_MAX, is_user_id
from app.errors import RefusalReason, TokenExpired, TokenInvalid
from app.json_codec import unique_names

# Seconds by which clocks may differ, for nbf and iat. Not for exp: "expired" then means the same here, in the cache and
# in the front-end, which renews its tokens before that anyway.
CLOCK_LEEWAY = 5
MAX_INSTANT = 253_402_300_799  # the end of the year 9999: the latest that datetime can express

_ONLY_IN_ID_TOKENS = frozenset({"nonce", "at_hash", "c_hash"})
_OTHER_KINDS = frozenset({"id", "id_token", "refresh", "refresh_token", "offline", "logout"})


class Identity(NamedTuple):
    """The identity in a verified token. ``expires_at`` is in seconds since 1970.

    ``session_id`` is set for this service's own logins and grants, ``client`` names the API token or the app; ``scope``
    is read or write. A grant has ``client_id``, and its token opens only what ``audience`` names.
    """

    subject: str
    expires_at: int
    session_id: str | None = None
    scope: str = "write"
    client: str = ""
    token_id: int | None = None
    client_id: str = ""
    audience: str = ""


class Origin(NamedTuple):
    """The issuer and audience that tokens of one kind must have; None: any.

    ``resource`` is an audience also, but of tokens that open nothing else (RFC 8707); empty: none.
    """

    issuer: str | None
    audience: str | None
    resource: str
    not_issuer: str | None = None


def token_origins(settings: Settings) -> tuple[Origin, Origin]:
    """Returns the rules for tokens signed with the shared secret, and for those signed with published keys.

    JWT_ISSUER and JWT_AUDIENCE apply to the published keys if there are any. Tokens signed with the shared secret may
    then have any issuer and audience, except the issuer of the published keys.
    """
    mcp_url = f"{settings.public_base}/mcp" if settings.public_base else ""
    if not (settings.jwks_url or settings.better_auth_url):
        shared = Origin(settings.jwt_issuer, settings.jwt_audience, mcp_url)
        return shared, shared
    base = (settings.better_auth_url or "").rstrip("/")  # Better Auth writes its base URL without the slash
    issuer = settings.jwt_issuer or base
    published = Origin(issuer, settings.jwt_audience or base or issuer, mcp_url)
    return Origin(None, None, mcp_url, not_issuer=issuer), published


def json_object(data: bytes, reason: RefusalReason) -> dict[str, Any]:
    """Parses a JSON object with unique names (RFC 7519, 4): two parsers must not read two different subjects."""
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=unique_names)
    except (ValueError, RecursionError) as error:
        raise TokenInvalid(reason=reason) from error
    if not isinstance(value, dict):
        raise TokenInvalid(reason=reason)
    return value


def check_origin(claims: dict[str, Any], origin: Origin) -> str:
    """Checks ``iss`` and ``aud``. Returns the resource to which the token is limited, empty if to none."""
    issuer = claims.get("iss")
    if not (issuer is None or isinstance(issuer, str)):
        raise TokenInvalid(reason=RefusalReason.ISS_NOT_TEXT)
    if origin.issuer is not None and issuer != origin.issuer:
        reason = RefusalReason.ISS_MISSING if issuer is None else RefusalReason.ISS_WRONG
        raise TokenInvalid(reason=reason, details={"expected_iss": origin.issuer})
    if issuer and origin.not_issuer and issuer.rstrip("/") == origin.not_issuer.rstrip("/"):
        raise TokenInvalid(reason=RefusalReason.ISS_OF_KEY_SET)
    audiences = _read_audiences(claims)
    if origin.resource and origin.resource in audiences and origin.audience not in audiences:
        return origin.resource
    check_audience(claims, origin.audience)
    return ""


def limit_identity(identity: Identity, claims: dict[str, Any], resource: str) -> Identity:
    """Returns the identity of an app whose token another issuer has limited to ``resource`` (RFC 9068, 2.2)."""
    scope = claims.get("scope")
    names = scope.split() if isinstance(scope, str) else []
    client_id = next((claims[name] for name in ("client_id", "azp") if isinstance(claims.get(name), str)), "")
    only_reads = "read" in names and "write" not in names
    return identity._replace(
        audience=resource, client_id=client_id or resource, scope="read" if only_reads else "write"
    )


def check_audience(claims: dict[str, Any], wanted: str | None) -> None:
    audiences = _read_audiences(claims)
    if wanted is not None and wanted not in audiences:
        reason = RefusalReason.AUD_WRONG if audiences else RefusalReason.AUD_MISSING
        raise TokenInvalid(reason=reason, details={"expected_aud": wanted})


def _read_audiences(claims: dict[str, Any]) -> list[Any]:
    """Returns ``aud``, one text or several (RFC 7519, 4.1.3)."""
    audience = claims.get("aud", [])
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list):
        raise TokenInvalid(reason=RefusalReason.AUD_NOT_TEXT)
    return audiences


def check_kind(claims: dict[str, Any]) -> None:
    """Refuses tokens that an issuer signs with the same key for another purpose than access.

    ID tokens (OpenID Connect Core, 2 and 3.3.2.11), refresh tokens of libraries that make them JWTs, and the session
    that Better Auth caches in a cookie, which holds the whole user.
    """
    found = sorted(_ONLY_IN_ID_TOKENS.intersection(claims))
    found += ["session"] if isinstance(claims.get("session"), dict) else []
    for name in ("token_use", "token_type", "typ", "type"):
        if isinstance(value := claims.get(name), str) and value.lower() in _OTHER_KINDS:
            found.append(name)
    if found:
        raise TokenInvalid(reason=RefusalReason.NOT_AN_ACCESS_TOKEN, details={"claim": found[0]})


def read_identity(claims: dict[str, Any], now: float) -> Identity:
    subject = _read_subject(claims)
    expires_at = _read_instant(claims, "exp")
    if expires_at is None:
        raise TokenInvalid(reason=RefusalReason.EXP_MISSING)
    for name, reason in (("nbf", RefusalReason.NOT_YET_VALID), ("iat", RefusalReason.ISSUED_AHEAD)):
        if (ahead := (_read_instant(claims, name) or 0) - now) > CLOCK_LEEWAY:
            raise TokenInvalid(reason=reason, details={"seconds": round(ahead, 1)})
    if expires_at <= now:
        raise TokenExpired(reason=RefusalReason.EXPIRED, details={"seconds": round(now - expires_at, 1)})
    return Identity(subject, expires_at)


def _read_subject(claims: dict[str, Any]) -> str:
    subject = claims.get("sub")
    if subject is None:
        raise TokenInvalid(reason=RefusalReason.SUB_MISSING)
    if not isinstance(subject, str):
        raise TokenInvalid(reason=RefusalReason.SUB_NOT_TEXT, details={"sub_type": type(subject).__name__})
    if len(subject) > USER_ID_MAX:
        raise TokenInvalid(reason=RefusalReason.SUB_TOO_LONG, details={"sub_length": len(subject)})
    if not is_subject(subject):
        raise TokenInvalid(reason=RefusalReason.SUB_NOT_ACCEPTED)
    return subject


def is_subject(text: str) -> bool:
    """Returns whether ``text`` is a valid owner: no invisible or control characters, no lone surrogates.

    Nor spaces around it: people cannot see the difference, and the isolation check at start uses such names.
    """
    return is_user_id(text) and text == text.strip()


def _read_instant(claims: dict[str, Any], name: str) -> int | None:
    """Reads whole seconds since 1970. Refuses fractions, strings and booleans."""
    if name not in claims:
        return None
    value = claims[name]
    if type(value) is not int or not 0 <= value <= MAX_INSTANT:
        raise TokenInvalid(reason=RefusalReason.TIME_NOT_INTEGER, details={"claim": name})
    return value
