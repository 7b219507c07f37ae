"""One-time passwords by the clock (RFC 6238), as authenticator apps make them: SHA-1, six digits, 30 seconds."""

import hmac
from base64 import b32encode
from hashlib import sha1
from urllib.parse import quote, urlencode

TOTP_DIGITS, TOTP_PERIOD = 6, 30  # seconds
TOTP_SECRET_BYTES = 20  # RFC 4226, 4: the length of the hash
STEPS_OF_DRIFT = 1  # a clock may differ by this, or a code be typed as late (RFC 6238, 5.2)


def totp_code(secret: bytes, step: int, digits: int = TOTP_DIGITS) -> str:
    """Returns the code of the step, which is the number of periods since 1970 (RFC 4226, 5.3)."""
    mac = hmac.digest(secret, step.to_bytes(8), sha1)
    offset = mac[-1] & 0xF
    number = int.from_bytes(mac[offset : offset + 4]) & 0x7FFF_FFFF
    return str(number % 10**digits).zfill(digits)


def find_totp_step(secret: bytes, code: str, now: float) -> int | None:
    """Returns the step of which this is the code, the latest one; None if it is none of now."""
    current = int(now // TOTP_PERIOD)
    steps = range(current - STEPS_OF_DRIFT, current + STEPS_OF_DRIFT + 1)
    matching = [step for step in steps if hmac.compare_digest(totp_code(secret, step).encode(), code.encode())]
    return max(matching, default=None)


def write_totp_secret(secret: bytes) -> str:
    """Returns the secret as it is typed into an app."""
    return b32encode(secret).rstrip(b"=").decode()


def totp_uri(secret: bytes, service: str, account: str) -> str:
    """Returns the URI that apps read from a QR code. They show ``service`` and ``account``."""
    label = f"{quote(service, safe='')}:{quote(account, safe='@')}"
    query = urlencode({"secret": write_totp_secret(secret), "issuer": service}, quote_via=quote)
    return f"otpauth://totp/{label}?{query}"
