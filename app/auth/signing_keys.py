"""The keys that sign tokens: from the settings, or generated once and kept in DATA_DIR."""

import logging
import os
import secrets
from contextlib import suppress
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from app.auth.private_files import write_private_text
from app.config import MIN_SECRET_BYTES, Settings

log = logging.getLogger(__name__)

SECRET_FILE_NAME = "jwt_secret"
KEY_FILE_NAME = "jwt_ed25519.pem"
RANDOM_BYTES = 48


class SecretError(ValueError):
    """The stored secret is unusable; the message names the remedy."""


def load_secret(settings: Settings) -> str | None:
    """Returns the secret that signs and verifies HS256 tokens; None if only the issuer's key set is trusted.

    Generated only with the embedded PostgreSQL: several machines on one DATABASE_URL would each generate
    their own and refuse each other's tokens. Raises SecretError, or OSError if DATA_DIR is inaccessible.
    """
    if settings.jwt_secret is not None:
        return settings.jwt_secret.get_secret_value()
    if not settings.embedded:
        return None
    path = settings.data_dir / SECRET_FILE_NAME
    if not path.exists():
        create_key_file(path, secrets.token_urlsafe(RANDOM_BYTES) + "\n")
    return _read_secret(path)


def load_signing_key(settings: Settings) -> Ed25519PrivateKey | None:
    """Returns the Ed25519 key that signs this service's own tokens; generated with the embedded PostgreSQL only.

    None with DATABASE_URL and no JWT_PRIVATE_KEY. Raises SecretError, or OSError if DATA_DIR is inaccessible.
    """
    if settings.jwt_private_key is not None:
        # One line in .env, as most hosts require: \n instead of line ends.
        return _parse_key(settings.jwt_private_key.get_secret_value().replace("\\n", "\n"), "JWT_PRIVATE_KEY")
    if not settings.embedded:
        return None
    path = settings.data_dir / KEY_FILE_NAME
    if not path.exists():
        create_key_file(path, pem_of(Ed25519PrivateKey.generate()))
    report_readable(path)
    return _parse_key(path.read_text(encoding="ascii"), str(path))


def pem_of(key: Ed25519PrivateKey | EllipticCurvePrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _parse_key(pem: str, where: str) -> Ed25519PrivateKey:
    remedy = "make one with: openssl genpkey -algorithm ed25519"
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise SecretError(f"{where} holds no private key in PEM: {remedy}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise SecretError(f"the key in {where} is not Ed25519: {remedy}")
    return key


def create_key_file(path: Path, content: str) -> None:
    """Writes ``content`` unless another process has created the file; then that content stays."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with suppress(FileExistsError):
        write_private_text(path, content)
        log.info("secret_generated", extra={"path": str(path)})


def _read_secret(path: Path) -> str:
    remedy = "delete it to have a new one made; all tokens end with it"
    try:
        secret = path.read_text(encoding="utf-8").strip()
    except UnicodeDecodeError as error:
        raise SecretError(f"the secret in {path} is not text: {remedy}") from error
    if len(secret.encode()) < MIN_SECRET_BYTES:
        raise SecretError(f"the secret in {path} is shorter than {MIN_SECRET_BYTES} bytes: {remedy}")
    report_readable(path)
    return secret


def report_readable(path: Path) -> None:
    """Logs a warning if others than its owner can read the file."""
    if os.name == "posix" and path.stat().st_mode & 0o077:
        log.warning("secret_readable_by_others", extra={"path": str(path), "remedy": f"chmod 600 {path}"})
