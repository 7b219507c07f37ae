"""The key by which push services know this service (RFC 8292): from the settings, or generated and kept in DATA_DIR.

Browsers subscribe for its public half: with another key their subscriptions end.
"""

from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    EllipticCurvePrivateKey,
    derive_private_key,
    generate_private_key,
)
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.auth.signing_keys import SecretError, create_key_file, pem_of, report_readable
from app.config import Settings
from app.net.addresses import LOCAL_HOSTS
from app.net.web_push import decode_base64url

VAPID_FILE_NAME = "vapid_private_key.pem"
VAPID_REMEDY = "make one with: openssl ecparam -genkey -name prime256v1 -noout"
# A push service refuses a contact that cannot be one: Apple's with BadJwtToken.
NO_CONTACT = ("localhost", "local", "invalid", "test", "example", "internal", "lan")


def load_vapid_key(settings: Settings) -> EllipticCurvePrivateKey | None:
    """Returns the key; None with DATABASE_URL and no VAPID_PRIVATE_KEY.

    Raises SecretError, or OSError if DATA_DIR is inaccessible.
    """
    if settings.vapid_private_key is not None:
        return _parse_vapid_key(settings.vapid_private_key.get_secret_value(), "VAPID_PRIVATE_KEY")
    if not settings.embedded:
        return None
    path = settings.data_dir / VAPID_FILE_NAME
    if not path.exists():
        create_key_file(path, pem_of(generate_private_key(SECP256R1())))
    report_readable(path)
    return _parse_vapid_key(path.read_text(encoding="ascii"), str(path))


def vapid_subject(settings: Settings) -> str:
    """Returns a contact of the operator for push services: PUBLIC_URL, else MAIL_FROM; empty if neither is public."""
    public = urlsplit(settings.public_base)
    if public.scheme == "https" and _is_public(public.hostname or ""):
        return settings.public_base
    domain = settings.mail_from.rpartition("@")[2].strip("<> ")
    address = settings.mail_from.rpartition("<")[2].strip("<> ")
    return f"mailto:{address}" if _is_public(domain) else ""


def _is_public(host: str) -> bool:
    ending = host.lower().rpartition(".")[2]  # a number in an IP address
    return "." in host and host not in LOCAL_HOSTS and ending not in NO_CONTACT and not ending.isdigit()


def _parse_vapid_key(text: str, where: str) -> EllipticCurvePrivateKey:
    """Reads PEM, or the 32 bytes of the key in base64url, as other libraries print it."""
    text = text.strip().replace("\\n", "\n")  # one line in .env, as most hosts require
    try:
        if "-----BEGIN" in text:
            key = load_pem_private_key(text.encode(), password=None)
        else:
            key = derive_private_key(_scalar_of(text), SECP256R1())
    except (ValueError, TypeError) as error:
        raise SecretError(f"{where} holds no private key: {VAPID_REMEDY}") from error
    if not isinstance(key, EllipticCurvePrivateKey) or key.curve.name != SECP256R1.name:
        raise SecretError(f"the key in {where} is not of the curve P-256: {VAPID_REMEDY}")
    return key


def _scalar_of(text: str) -> int:
    raw = decode_base64url(text)
    if len(raw) != 32:
        raise ValueError("not 32 bytes")
    return int.from_bytes(raw)
