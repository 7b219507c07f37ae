"""The key of Web Push: from the settings in two forms, or generated; and the contact that push services get."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP384R1, generate_private_key

from app.auth.signing_keys import SecretError, pem_of
from app.auth.vapid_keys import VAPID_FILE_NAME, load_vapid_key, vapid_subject
from app.config import Settings
from app.net.web_push import encode_base64url, point_of
from tests.support import SECRET

BARE = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"  # RFC 8291, appendix A
PUBLIC = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"


def settings(**values: object) -> Settings:
    return Settings(_env_file=None, database_url="postgresql://x/y", jwt_secret=SECRET, **values)  # type: ignore[arg-type]


def public_half(found: Settings) -> str:
    key = load_vapid_key(found)
    assert key is not None
    return encode_base64url(point_of(key.public_key()))


def test_the_key_is_read_as_other_libraries_print_it() -> None:
    assert public_half(settings(vapid_private_key=BARE)) == PUBLIC
    assert public_half(settings(vapid_private_key=f" {BARE}=\n")) == PUBLIC
    key = load_vapid_key(settings(vapid_private_key=BARE))
    assert key is not None
    pem = pem_of(key)
    for text in (pem, pem.replace("\n", "\\n")):
        assert public_half(settings(vapid_private_key=text)) == PUBLIC


@pytest.mark.parametrize(
    "text", ["nonsense", "", PUBLIC, "A" * 43, "-----BEGIN x", pem_of(generate_private_key(SECP384R1()))]
)
def test_another_key_is_refused_with_the_remedy(text: str) -> None:
    with pytest.raises(SecretError, match=r"VAPID_PRIVATE_KEY.*openssl ecparam"):
        load_vapid_key(settings(vapid_private_key=text))


def test_it_is_generated_once_with_the_embedded_server_only(tmp_path: Path) -> None:
    embedded = Settings(_env_file=None, data_dir=tmp_path / "data")
    first = public_half(embedded)
    assert public_half(embedded) == first
    assert (tmp_path / "data" / VAPID_FILE_NAME).stat().st_mode & 0o777 == 0o600
    assert load_vapid_key(settings()) is None


@pytest.mark.parametrize(
    ("public_url", "mail_from", "subject"),
    [
        ("https://todo.example.com", "todo@localhost", "https://todo.example.com"),
        ("https://todo.example.com/sub/", "todo@localhost", "https://todo.example.com/sub"),
        ("http://todo.example.com", "Todo <todo@mail.example.com>", "mailto:todo@mail.example.com"),
        ("https://localhost:8000", "todo@example.org", "mailto:todo@example.org"),
        ("https://192.168.1.5", "todo@localhost", ""),
        ("https://todo.local", "todo@nas.local", ""),
        ("", "todo@localhost", ""),
    ],
)
def test_the_contact_is_one_that_push_services_take(public_url: str, mail_from: str, subject: str) -> None:
    """Apple refuses every message of a sender whose contact is at localhost."""
    assert vapid_subject(settings(public_url=public_url, mail_from=mail_from)) == subject
