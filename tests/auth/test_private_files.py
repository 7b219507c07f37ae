"""Files with secrets or with the data of users, whatever was at their place."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from pydantic import SecretStr

from app.auth.private_files import private_file, write_private_text
from app.auth.signing_keys import KEY_FILE_NAME, load_signing_key
from app.commands.common import errors_in_one_line
from app.commands.data import _secrets_of, _write_secrets
from app.config import Settings
from tests.support import SECRET


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def an_open_file(path: Path, elsewhere: Path) -> None:
    path.write_text("old")
    path.chmod(0o666)


def a_link(path: Path, elsewhere: Path) -> None:
    elsewhere.write_text("theirs")
    path.symlink_to(elsewhere)


def a_dangling_link(path: Path, elsewhere: Path) -> None:
    path.symlink_to(elsewhere)


def a_hard_link(path: Path, elsewhere: Path) -> None:
    elsewhere.write_text("theirs")
    path.hardlink_to(elsewhere)


def a_named_pipe(path: Path, elsewhere: Path) -> None:
    os.mkfifo(path, 0o666)


def nothing(path: Path, elsewhere: Path) -> None:
    pass


IN_THE_WAY = [nothing, an_open_file, a_link, a_dangling_link, a_hard_link, a_named_pipe]


@pytest.mark.parametrize("put", IN_THE_WAY)
@pytest.mark.parametrize("umask", [0o000, 0o077, 0o777])
def test_secrets_are_private_whatever_was_there(tmp_path: Path, put: Callable[[Path, Path], None], umask: int) -> None:
    file, elsewhere = tmp_path / "todo.dump", tmp_path / "elsewhere"
    put(_secrets_of(file), elsewhere)
    before = elsewhere.read_text() if elsewhere.exists() else None
    old = os.umask(umask)
    try:
        _write_secrets(Settings(_env_file=None, jwt_secret=SecretStr(SECRET)), file)
    finally:
        os.umask(old)
    secrets = _secrets_of(file)
    assert secrets.lstat().st_nlink == 1
    assert stat.S_ISREG(secrets.lstat().st_mode)
    assert mode_of(secrets) == 0o600
    assert secrets.read_text() == f"JWT_SECRET={SECRET}\n"
    assert (elsewhere.read_text() if elsewhere.exists() else None) == before
    assert {path.name for path in tmp_path.iterdir()} <= {secrets.name, elsewhere.name}


@pytest.mark.parametrize("put", IN_THE_WAY[1:])
def test_without_replace_nothing_is_written_where_something_is(
    tmp_path: Path, put: Callable[[Path, Path], None]
) -> None:
    file, elsewhere = tmp_path / "secret", tmp_path / "elsewhere"
    put(file, elsewhere)
    before = sorted(path.name for path in tmp_path.iterdir())
    with pytest.raises(FileExistsError):
        write_private_text(file, "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    assert not elsewhere.exists() or elsewhere.read_text() == "theirs"


@pytest.mark.parametrize("replace", [False, True])
def test_a_failure_leaves_what_was_there(tmp_path: Path, replace: bool) -> None:
    file = tmp_path / "secret"
    file.write_text("old")

    def fail() -> None:
        with private_file(file, replace=replace) as draft:
            draft.write_text("half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_a_folder_in_the_way_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "todo.dump.secrets").mkdir()
    with pytest.raises(typer.Exit), errors_in_one_line():
        _write_secrets(Settings(_env_file=None, jwt_secret=SecretStr(SECRET)), tmp_path / "todo.dump")
    assert capsys.readouterr().err.endswith(f": '{tmp_path / 'todo.dump.secrets'}'\n")
    assert list(tmp_path.iterdir()) == [tmp_path / "todo.dump.secrets"]


def test_a_signing_key_that_others_can_read_is_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = Settings(_env_file=None, data_dir=tmp_path)
    assert load_signing_key(settings) is not None
    assert mode_of(tmp_path / KEY_FILE_NAME) == 0o600
    assert "secret_readable_by_others" not in caplog.messages
    (tmp_path / KEY_FILE_NAME).chmod(0o644)
    load_signing_key(settings)
    assert caplog.messages[-1] == "secret_readable_by_others"


def test_a_file_system_without_hard_links_takes_files_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    file = tmp_path / "new"
    write_private_text(file, "x")
    assert (file.read_text(), mode_of(file), os.listdir(tmp_path)) == ("x", 0o600, ["new"])
    with pytest.raises(FileExistsError):
        write_private_text(file, "y")
    assert (file.read_text(), os.listdir(tmp_path)) == ("x", ["new"])
