"""Uploads that the operating system lets nobody keep: a named error for the client, the folder in the log."""

import errno
import logging
import os
import resource
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.api.test_transfer import CSV, counts, imported
from tests.support import Person, assert_problem

LOGGER_NAME = "app.services.transfer.temporary_files"
FILE = "title\r\n" + "Buy milk and bread\r\n" * 2_000
UTF16_FILE = FILE.encode("utf-16")


async def assert_refused(person: Person, caplog: pytest.LogCaptureFixture, status: int, code: str, reason: str) -> None:
    for body in (FILE, UTF16_FILE):
        caplog.clear()
        with caplog.at_level(logging.ERROR):
            answer = await person.call("POST", "/import", content=body, headers=CSV)
        assert_problem(answer, status, code)
        (line,) = [record.getMessage() for record in caplog.records if record.name == LOGGER_NAME]
        assert reason in line
        assert str(tempfile.tempdir or tempfile.gettempdir()) in line
    assert (await person.get("/tasks")).json() == []


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOSPC, 507, "storage_full"),
        (errno.EDQUOT, 507, "storage_full"),
        (errno.EROFS, 503, "temporary_files_refused"),
        (errno.EACCES, 503, "temporary_files_refused"),
        (errno.EMFILE, 503, "temporary_files_refused"),
        (errno.EIO, 503, "temporary_files_refused"),
    ],
)
async def test_an_upload_that_cannot_be_kept_is_a_named_error(
    alice: Person,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    status: int,
    code: str,
) -> None:
    def refuse() -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    await assert_refused(alice, caplog, status, code, os.strerror(number))


async def test_a_missing_folder_is_a_named_error(
    alice: Person, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    await assert_refused(alice, caplog, 503, "temporary_files_refused", "No such file")
    monkeypatch.undo()
    assert counts(await imported(alice, "title\r\nx\r\n", CSV)) == (1, 0, 0)


async def test_a_full_disk_is_a_named_error(
    alice: Person, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk refuses again what was written when the file is closed."""
    monkeypatch.setattr(tempfile, "TemporaryFile", partial(Path.open, Path("/dev/full"), "w+b"))
    await assert_refused(alice, caplog, 507, "storage_full", "No space left")


@pytest.fixture
def small_files() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


async def test_a_limit_of_the_size_of_files_is_a_named_error(
    alice: Person, caplog: pytest.LogCaptureFixture, small_files: None
) -> None:
    await assert_refused(alice, caplog, 507, "storage_full", "File too large")
