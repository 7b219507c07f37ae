"""Web Push: the example of RFC 8291, and what a push service can check of RFC 8292."""

import time
from base64 import urlsafe_b64decode

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, derive_private_key, generate_private_key

from app.net.web_push import (
    PLAIN_TEXT_MAX,
    RECORD_BYTES,
    authorize_push,
    decode_base64url,
    encode_base64url,
    encrypt_message,
    point_of,
    read_public_key,
)
from tests.channels.push_service import Browser

# RFC 8291, appendix A.
TEXT = b"When I grow up, I want to be a watermelon"
SENDER_KEY = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
BROWSER_KEY = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
KEYS = {
    "p256dh": "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4",
    "auth": "BTBZMqHH6r4Tts7J_aSIgg",
}
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
ENCRYPTED = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27ml"
    "mlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_yl95bQpu6cVPT"
    "pK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def scalar(key: str) -> int:
    return int.from_bytes(decode_base64url(key))


def test_the_example_of_the_rfc_is_encrypted() -> None:
    own = derive_private_key(scalar(SENDER_KEY), SECP256R1())
    assert encode_base64url(encrypt_message(TEXT, KEYS, salt=decode_base64url(SALT), private_key=own)) == ENCRYPTED


def test_the_browser_of_the_rfc_decrypts_what_is_sent() -> None:
    browser = Browser(derive_private_key(scalar(BROWSER_KEY), SECP256R1()), decode_base64url(KEYS["auth"]))
    assert browser.keys == KEYS
    assert browser.decrypt(decode_base64url(ENCRYPTED)) == TEXT
    first, second = encrypt_message(TEXT, KEYS), encrypt_message(TEXT, KEYS)
    assert first != second
    assert browser.decrypt(first) == browser.decrypt(second) == TEXT


@pytest.mark.parametrize("size", [0, 1, PLAIN_TEXT_MAX])
def test_each_message_fits_into_one_record(size: int) -> None:
    browser = Browser()
    encrypted = encrypt_message(b"x" * size, browser.keys)
    assert len(encrypted) <= RECORD_BYTES
    assert browser.decrypt(encrypted) == b"x" * size


def test_a_longer_message_is_refused() -> None:
    with pytest.raises(ValueError, match="at most"):
        encrypt_message(b"x" * (PLAIN_TEXT_MAX + 1), Browser().keys)


def test_keys_may_be_padded() -> None:
    padded = {name: key + "=" * (-len(key) % 4) for name, key in KEYS.items()}
    assert point_of(read_public_key(padded["p256dh"])) == urlsafe_b64decode(padded["p256dh"])
    assert Browser(derive_private_key(scalar(BROWSER_KEY), SECP256R1()), decode_base64url(KEYS["auth"])).decrypt(
        encrypt_message(TEXT, padded)
    )


@pytest.mark.parametrize("key", ["", "AAAA", KEYS["p256dh"][:-4] + "AAAA", "B" + "A" * 86])
def test_a_key_that_is_no_point_is_refused(key: str) -> None:
    with pytest.raises(ValueError):
        read_public_key(key)


@pytest.mark.parametrize("subject", ["mailto:admin@example.com", "https://todo.example.com", ""])
def test_the_push_service_can_verify_the_sender(subject: str) -> None:
    key = generate_private_key(SECP256R1())
    header = authorize_push(key, "https://push.example.com", subject)
    scheme, _, parameters = header.partition(" ")
    given = dict(each.strip().split("=", 1) for each in parameters.split(","))
    assert scheme == "vapid"
    assert given["k"] == encode_base64url(point_of(key.public_key()))
    claims = jwt.decode(given["t"], read_public_key(given["k"]), ["ES256"], audience="https://push.example.com")
    assert time.time() < claims["exp"] <= time.time() + 24 * 3600
    assert claims.get("sub", "") == subject
