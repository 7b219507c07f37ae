"""Source and storage of the shared secret."""

import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.auth.signing_keys import SECRET_FILE_NAME, SecretError, load_secret
from app.auth.token_verifier import TokenVerifier
from app.config import Settings

SECRET = "a shared secret of forty characters, yes!"


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("JWT_SECRET", "BETTER_AUTH_SECRET", "BETTER_AUTH_URL", "JWKS_URL", "DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")  # away from any .env


def test_a_configured_secret_is_used_and_nothing_is_written(tmp_path: Path) -> None:
    assert load_secret(Settings(jwt_secret=SecretStr(SECRET), data_dir=tmp_path / "data")) == SECRET
    assert not (tmp_path / "data").exists()


def test_no_secret_is_created_for_a_shared_database(tmp_path: Path) -> None:
    settings = Settings(
        database_url=SecretStr("postgresql://x/y"), better_auth_url="https://app.example", data_dir=tmp_path
    )
    assert load_secret(settings) is None
    assert not (tmp_path / SECRET_FILE_NAME).exists()


def test_a_created_secret_is_kept_and_readable_only_by_its_owner(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "data")
    secret = load_secret(settings)
    assert secret is not None
    assert len(secret) == 64
    assert load_secret(settings) == secret
    assert [file.name for file in settings.data_dir.iterdir()] == [SECRET_FILE_NAME]
    assert stat.S_IMODE((settings.data_dir / SECRET_FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(settings.data_dir.stat().st_mode) == 0o700
    TokenVerifier(settings, secret)


def test_concurrent_starts_have_the_same_secret(tmp_path: Path) -> None:
    barrier = threading.Barrier(16)

    def start(_: int) -> str | None:
        barrier.wait()
        return load_secret(Settings(data_dir=tmp_path / "data"))

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(start, range(16)))) == 1


@pytest.mark.parametrize("content", [b"", b"\n", b"short\n", b"x" * 31, b" " * 60, b"\xff" * 60])
def test_a_damaged_secret_is_refused_and_not_changed(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / SECRET_FILE_NAME
    file.write_bytes(content)
    with pytest.raises(SecretError, match=SECRET_FILE_NAME):
        load_secret(Settings(data_dir=tmp_path))
    assert file.read_bytes() == content


def test_a_secret_that_others_can_read_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / SECRET_FILE_NAME
    file.write_text(SECRET + "\n")
    file.chmod(0o644)
    assert load_secret(Settings(data_dir=tmp_path)) == SECRET
    (record,) = caplog.records
    assert record.message == "secret_readable_by_others"
    assert SECRET not in str(vars(record))
