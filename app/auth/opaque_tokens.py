"""Opaque tokens: random text, stored only as its SHA-256.

A fast hash is enough: unlike a password, 190 random bits cannot be guessed.
"""

import secrets
import string
import zlib
from base64 import urlsafe_b64encode
from hashlib import sha256
from hmac import digest

API_TOKEN_PREFIX = "todo_pat_"
REFRESH_PREFIX, FEED_PREFIX = "todo_rt_", "todo_feed_"
RESET_PREFIX, EMAIL_PREFIX, CODE_PREFIX = "todo_reset_", "todo_email_", "todo_code_"
CHALLENGE_PREFIX = "todo_login_"
HINT_LENGTH = len(API_TOKEN_PREFIX) + 4
_TOKEN_ALPHABET = string.digits + string.ascii_letters
_RANDOM_LENGTH, _CHECKSUM_LENGTH = 32, 6
_RECOVERY_ALPHABET, _RECOVERY_LENGTH = "23456789abcdefghjkmnpqrstuvwxyz", 16


def hash_token(token: str) -> bytes:
    """Returns the hash that is stored of a token."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def new_api_token() -> str:
    """Returns prefix, 190 random bits, and a checksum, by which secret scanners and this service recognise it."""
    body = "".join(secrets.choice(_TOKEN_ALPHABET) for _ in range(_RANDOM_LENGTH))
    return API_TOKEN_PREFIX + body + _checksum(body)


def is_api_token(token: str) -> bool:
    """Returns whether the prefix and checksum are right: a typo is refused without a query."""
    body, check = token[len(API_TOKEN_PREFIX) : -_CHECKSUM_LENGTH], token[-_CHECKSUM_LENGTH:]
    return token.startswith(API_TOKEN_PREFIX) and len(body) == _RANDOM_LENGTH and _checksum(body) == check


def _checksum(body: str) -> str:
    number, text = zlib.crc32(body.encode("utf-8", "surrogatepass")), ""
    for _ in range(_CHECKSUM_LENGTH):
        number, rest = divmod(number, len(_TOKEN_ALPHABET))
        text = _TOKEN_ALPHABET[rest] + text
    return text


def new_refresh_token() -> str:
    """Returns the first token of a login session."""
    return REFRESH_PREFIX + secrets.token_urlsafe(32)


def next_refresh_token(token: str, key: bytes) -> str:
    """Derives the successor of ``token``: always the same one, so that a lost response can be repeated.

    Without the token and the service's ``key`` it cannot be distinguished from random.
    """
    mac = digest(key, b"refresh\0" + token.encode("utf-8", "surrogatepass"), "sha256")
    return REFRESH_PREFIX + urlsafe_b64encode(mac).rstrip(b"=").decode()


def new_feed_token() -> str:
    """Returns a token for the URL of a calendar."""
    return FEED_PREFIX + secrets.token_urlsafe(32)


def new_code() -> str:
    """Returns an authorization code."""
    return CODE_PREFIX + secrets.token_urlsafe(32)


def new_reset_token() -> str:
    """Returns a token for a mail, to set a new password."""
    return RESET_PREFIX + secrets.token_urlsafe(32)


def new_email_token() -> str:
    """Returns a token for a mail, to confirm a new e-mail."""
    return EMAIL_PREFIX + secrets.token_urlsafe(32)


def new_challenge() -> str:
    """Returns a token that continues a login which waits for a second factor."""
    return CHALLENGE_PREFIX + secrets.token_urlsafe(32)


def new_recovery_code() -> str:
    """Returns 79 random bits to be written down: too many to be guessed from their hash. Without similar letters."""
    letters = "".join(secrets.choice(_RECOVERY_ALPHABET) for _ in range(_RECOVERY_LENGTH))
    return "-".join(letters[start : start + 4] for start in range(0, _RECOVERY_LENGTH, 4))


def hash_recovery_code(code: str) -> bytes:
    """Returns the hash that is stored of a recovery code, however it is typed."""
    return hash_token("".join(letter for letter in code.lower() if letter.isalnum()))
