"""Passkeys (WebAuthn): the options for a browser, and the verification of what it returns."""

import asyncio
import binascii
import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Any, NamedTuple

from app.errors import PasskeyRefused, RefusalReason

COSE_ES256, COSE_EDDSA, COSE_RS256 = -7, -8, -257  # COSE algorithms, by preference
CEREMONY_TIMEOUT = 300_000  # milliseconds
PUBLIC_KEY_MAX = 600  # bytes: RSA of 4,096 bits; longer keys would cost too much to verify
CREDENTIAL_ID_MAX = 1_023  # bytes (WebAuthn, 4: credential ID)


class RelyingParty(NamedTuple):
    """This service, as browsers bind passkeys to it: to the domain ``id``, and to pages of ``origin``."""

    id: str
    origin: str


class Passkey(NamedTuple):
    """The public half of a passkey. ``sign_count`` counts its uses, unless it stays 0."""

    credential_id: bytes
    public_key: bytes
    sign_count: int


class Ceremony(NamedTuple):
    """A question to a browser: its answer must be for this party and this challenge."""

    party: RelyingParty
    challenge: bytes


def to_base64url(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def from_base64url(text: object) -> bytes:
    """Returns the bytes. Raises PasskeyRefused."""
    if not isinstance(text, str) or not text.isascii():
        raise PasskeyRefused
    try:
        return urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except (binascii.Error, ValueError):
        raise PasskeyRefused from None


def creation_options(ceremony: Ceremony, owner: str, email: str, name: str, known: list[bytes]) -> dict[str, Any]:
    """Returns options for ``navigator.credentials.create()``: a passkey that its device unlocks and can list.

    ``known``: the ids of those that the account has, which a device does not repeat.
    """
    return {
        "rp": {"id": ceremony.party.id, "name": "Todo"},
        "user": {"id": to_base64url(owner.encode()), "name": email, "displayName": name or email},
        "challenge": to_base64url(ceremony.challenge),
        "pubKeyCredParams": [
            {"type": "public-key", "alg": algorithm} for algorithm in (COSE_ES256, COSE_EDDSA, COSE_RS256)
        ],
        "timeout": CEREMONY_TIMEOUT,
        "excludeCredentials": _descriptors(known),
        "authenticatorSelection": {
            "residentKey": "required",
            "requireResidentKey": True,
            "userVerification": "required",
        },
        "attestation": "none",
    }


def request_options(ceremony: Ceremony, known: list[bytes]) -> dict[str, Any]:
    """Returns options for ``navigator.credentials.get()``. None ``known``: the device offers those that it has."""
    return {
        "rpId": ceremony.party.id,
        "challenge": to_base64url(ceremony.challenge),
        "timeout": CEREMONY_TIMEOUT,
        "allowCredentials": _descriptors(known),
        "userVerification": "required",
    }


def _descriptors(known: list[bytes]) -> list[dict[str, str]]:
    return [{"type": "public-key", "id": to_base64url(credential_id)} for credential_id in known]


def read_challenge(credential: dict[str, Any]) -> bytes:
    """Returns the challenge that a browser has answered. Raises PasskeyRefused, also for an embedded page."""
    response = credential.get("response")
    try:
        data = json.loads(from_base64url(response["clientDataJSON"] if isinstance(response, dict) else None))
    except (KeyError, ValueError, RecursionError):
        raise PasskeyRefused from None
    if not isinstance(data, dict) or data.get("crossOrigin"):
        raise PasskeyRefused
    return from_base64url(data.get("challenge"))


def read_credential_id(credential: dict[str, Any]) -> bytes:
    return from_base64url(credential.get("rawId"))


def read_user_handle(credential: dict[str, Any]) -> bytes | None:
    """Returns the owner that the device names; None if it names none, which it may if it was asked for its own."""
    response = credential.get("response")
    handle = response.get("userHandle") if isinstance(response, dict) else None
    return None if handle is None else from_base64url(handle)


async def verify_new_passkey(credential: dict[str, Any], ceremony: Ceremony) -> Passkey:
    """Verifies what ``create()`` returned. Raises PasskeyRefused."""
    return await asyncio.to_thread(_verify_new_passkey, credential, ceremony)


async def verify_passkey(credential: dict[str, Any], ceremony: Ceremony, known: Passkey) -> int:
    """Verifies what ``get()`` returned with a ``known`` passkey; returns its sign count. Raises PasskeyRefused.

    A count that has not grown shows a copy of the passkey.
    """
    return await asyncio.to_thread(_verify_passkey, credential, ceremony, known)


def _verify_new_passkey(credential: dict[str, Any], ceremony: Ceremony) -> Passkey:
    import webauthn
    from webauthn.helpers.cose import COSEAlgorithmIdentifier

    try:
        verified = webauthn.verify_registration_response(
            credential=credential,
            expected_challenge=ceremony.challenge,
            expected_rp_id=ceremony.party.id,
            expected_origin=ceremony.party.origin,
            require_user_verification=True,
            supported_pub_key_algs=[
                COSEAlgorithmIdentifier(algorithm) for algorithm in (COSE_ES256, COSE_EDDSA, COSE_RS256)
            ],
        )
    except Exception as error:  # the library fails in many ways on what a stranger sends
        raise _refused(error) from error
    if len(verified.credential_id) > CREDENTIAL_ID_MAX or len(verified.credential_public_key) > PUBLIC_KEY_MAX:
        raise PasskeyRefused
    return Passkey(verified.credential_id, verified.credential_public_key, verified.sign_count)


def _verify_passkey(credential: dict[str, Any], ceremony: Ceremony, known: Passkey) -> int:
    import webauthn

    try:
        verified = webauthn.verify_authentication_response(
            credential=credential,
            expected_challenge=ceremony.challenge,
            expected_rp_id=ceremony.party.id,
            expected_origin=ceremony.party.origin,
            credential_public_key=known.public_key,
            credential_current_sign_count=known.sign_count,
            require_user_verification=True,
        )
    except Exception as error:
        raise _refused(error) from error
    return verified.new_sign_count


def _refused(error: Exception) -> PasskeyRefused:
    return PasskeyRefused(reason=RefusalReason.PASSKEY_REFUSED, details={"problem": str(error)[:200]})
