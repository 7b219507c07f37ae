"""Scheduled dumps: written by the worker when they are due, complete or not there, and the old ones deleted."""

import asyncio
import os
import signal
import subprocess
import sys
import time as clock
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from app.commands.doctor import backups as doctor
from app.config import Settings
from app.db.backup import client_programs
from app.db.backup import dump as dumps
from app.db.backup.client_programs import ToolError, connection_environment
from app.db.backup.folder import BackupFolder
from app.db.connection_options import ConnectOptions
from app.db.epoch import Installation
from app.jobs.backups import BACKUP_LOCK, FIRST_DUMP_RETRY, LONGEST_DUMP_RETRY, BackupJob, latest_time
from app.observability.metrics import Metrics
from tests.databases import Databases, rows
from tests.support import SECRET

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0  # seconds
FILL = """
    insert into users (id, revision) select 'user' || n, 3 from generate_series(1, 5) n;
    insert into tasks (user_id, title, version) select id, 'Task ' || n, 1 from users, generate_series(1, 20) n;"""
HERE = Installation(1, 1, 5, 1)


@pytest.fixture
async def filled(databases: Databases, undistributed: str) -> ConnectOptions:
    return await databases.create(undistributed, FILL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "dumps"
    made.mkdir()
    return made


def settings_of(options: ConnectOptions, folder: Path, **more: Any) -> Settings:
    return Settings(_env_file=None, database_url=options.dsn, jwt_secret=SECRET, backup_dir=folder, **more)


def job_of(options: ConnectOptions, folder: Path, **more: Any) -> BackupJob:
    return BackupJob(settings_of(options, folder, **more), options)


def names(folder: Path, pattern: str = "*") -> list[str]:
    return sorted(file.name for file in folder.glob(pattern))


def start_worker(options: ConnectOptions, folder: Path, log: Path) -> subprocess.Popen[bytes]:
    settings = {"DATABASE_URL": options.dsn, "JWT_SECRET": SECRET, "BACKUP_DIR": str(folder), "BACKUP_AT": "00:00"}
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME", "LANG", "PYTHONPATH"}}
    with log.open("ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "app", "worker"], cwd=ROOT, env=kept | settings, stdout=output, stderr=output
        )


async def until(condition: Callable[[], Any], log: Path) -> None:
    deadline = clock.monotonic() + PATIENCE
    while not condition():
        assert clock.monotonic() < deadline, log.read_text()
        await asyncio.sleep(0.05)


async def test_a_dump_of_the_worker_is_restored_and_a_killed_one_leaves_none(
    filled: ConnectOptions, databases: Databases, folder: Path, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    blocker = await asyncpg.connect(**filled.arguments())
    blocking = blocker.transaction()
    await blocking.start()
    await blocker.execute(
        "set local idle_in_transaction_session_timeout = 0; lock table views in access exclusive mode"
    )
    killed = start_worker(filled, folder, log)
    try:
        await until(lambda: names(folder, ".todo-*.part"), log)  # pg_dump waits for the table
        killed.send_signal(signal.SIGKILL)
        killed.wait(PATIENCE)
        assert names(folder, "*.dump") == []
    finally:
        killed.kill()
        await blocking.rollback()
        await blocker.close()
    workers = [start_worker(filled, folder, log) for _ in range(2)]
    try:
        await until(lambda: names(folder, "*.dump"), log)
    finally:
        for worker in workers:
            worker.terminate()
            worker.wait(PATIENCE)
    (name,) = names(folder, "todo-*")
    assert names(folder) == [name], "no draft is left"
    assert "Traceback" not in log.read_text()
    empty = await databases.create("template0")
    await dumps.restore_dump(empty, connection_environment(empty.dsn), folder / name, replace=False)
    assert await rows(empty, "select count(*) from tasks") == await rows(filled, "select count(*) from tasks")


async def test_only_the_latest_dumps_of_this_database_are_kept(filled: ConnectOptions, folder: Path) -> None:
    job = job_of(filled, folder, backup_keep=2)
    assert await job.write_if_due(7) == 7
    (first,) = names(folder)
    prefix = first[: first.index("-", 5) + 1]
    others = [
        f"{prefix}20200101T000000Z.dump.bak",
        "todo-00000000-20200101T000000Z.dump",
        "mine.dump",
        f"{prefix}x.dump",
    ]
    for name in (*others, f"{prefix}20200101T000000Z.dump", f"{prefix}20200102T000000Z.dump"):
        (folder / name).write_text("x")
    (folder / f"{prefix}20200103T000000Z.dump").symlink_to(folder / "mine.dump")
    (folder / first).rename(folder / f"{prefix}20210101T000000Z.dump")  # so that one is due
    assert await job.write_if_due(7) == 7
    own = [name for name in names(folder, f"{prefix}*Z.dump") if not (folder / name).is_symlink()]
    assert own[0] == f"{prefix}20210101T000000Z.dump"
    assert len(own) == 2
    assert set(others) < set(names(folder))


async def test_a_dump_is_written_once_for_each_time(filled: ConnectOptions, folder: Path) -> None:
    job = job_of(filled, folder, backup_at=["00:00"])
    for _ in range(3):
        await job.write_if_due(1)
    another = job_of(filled, folder, backup_at=["00:00"])  # another worker, or this one after a restart
    await another.write_if_due(1)
    assert len(names(folder)) == 1
    assert job.last_at == another.last_at


async def test_while_one_worker_writes_the_others_do_not(filled: ConnectOptions, folder: Path) -> None:
    other = await asyncpg.connect(**filled.arguments())
    await other.execute(f"select pg_advisory_lock({BACKUP_LOCK})")
    job = job_of(filled, folder)
    await job.write_if_due(1)
    assert names(folder) == []
    await other.close()
    await job.write_if_due(1)
    assert len(names(folder)) == 1
    assert job.failures == 0


async def test_a_failure_is_logged_counted_and_tried_again_later_each_time(
    filled: ConnectOptions, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    absent = tmp_path / "absent"
    job = job_of(filled, absent)
    pauses = [await job.write_if_due(5) for _ in range(6)]
    assert pauses == [
        FIRST_DUMP_RETRY,
        4 * FIRST_DUMP_RETRY,
        16 * FIRST_DUMP_RETRY,
        64 * FIRST_DUMP_RETRY,
        LONGEST_DUMP_RETRY,
        LONGEST_DUMP_RETRY,
    ]
    assert f"BACKUP_DIR: {absent} does not exist: create it, or mount it (there is none yet)" in caplog.text
    assert not absent.exists(), "it may be a disk that is not mounted"
    absent.mkdir()
    assert await job.write_if_due(5) == 5
    assert (job.failures, len(names(absent))) == (6, 1)
    exported = Metrics()
    exported.backups = job
    assert job.last_at is not None
    read = exported.registry.get_sample_value
    assert read("todo_backup_failures_total") == 6
    assert read("todo_backup_last_success_timestamp_seconds") == job.last_at.timestamp()


FAULTS = {
    "No space left on device": ToolError("pg_dump failed: could not write to file: No space left on device"),
    "Permission denied": PermissionError(13, "Permission denied", "/dumps/x"),
}


@pytest.mark.parametrize("words", FAULTS)
async def test_a_failed_dump_leaves_no_file(
    filled: ConnectOptions, folder: Path, words: str,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    async def fail(*command: str, **options: Any) -> str:
        raise FAULTS[words]

    monkeypatch.setattr(dumps, "run_tool", fail)
    await job_of(filled, folder).write_if_due(1)
    assert names(folder) == names(folder, ".*") == []
    assert f"no scheduled dump was written: {words}" in caplog.text or words in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_dump_that_cannot_be_read_is_not_taken_for_one(
    filled: ConnectOptions, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(*command: str, **options: Any) -> str:
        said = await client_programs.run_tool(*command, **options)
        if any("pg_dump" in part for part in command[:1]):
            file = Path(next(part for part in command if part.startswith("--file=")).removeprefix("--file="))
            file.write_bytes(file.read_bytes()[:2000])
        return said

    monkeypatch.setattr(dumps, "run_tool", cut)
    job = job_of(filled, folder)
    await job.write_if_due(1)
    assert (job.failures, names(folder)) == (1, [])


async def test_a_pooler_needs_a_direct_connection(
    filled: ConnectOptions, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    await BackupJob(settings_of(filled, folder), replace(filled, pooled=True)).write_if_due(1)
    assert "set DIRECT_DATABASE_URL" in caplog.text


async def test_doctor_says_how_old_the_latest_dump_is(filled: ConnectOptions, folder: Path) -> None:
    settings = settings_of(filled, folder)
    assert await doctor.check_scheduled_dumps(settings.model_copy(update={"backup_dir": None}), filled) == []
    (none,) = await doctor.check_scheduled_dumps(settings, filled)
    assert (none.ok, "has none of this database yet" in none.text) == (False, True)
    await BackupJob(settings, filled).write_if_due(1)
    (fresh,) = await doctor.check_scheduled_dumps(settings, filled)
    assert (fresh.ok, "the latest of 1 is 0.0 hours old" in fresh.text) == (True, True)
    (name,) = names(folder)
    (folder / name).rename(folder / f"{name[:14]}20210101T000000Z.dump")
    hour = f"{(datetime.now(UTC) - timedelta(hours=12)).hour:02}:00"
    (late,) = await doctor.check_scheduled_dumps(settings.model_copy(update={"backup_at": [hour]}), filled)
    assert (late.ok, "does a worker run" in late.text) == (False, True)
    (absent,) = await doctor.check_scheduled_dumps(settings.model_copy(update={"backup_dir": folder / "x"}), filled)
    assert (absent.ok, "does not exist" in absent.text) == (False, True)


async def test_a_dump_of_a_clock_that_was_ahead_stops_no_other(filled: ConnectOptions, folder: Path) -> None:
    job = job_of(filled, folder, backup_keep=1, backup_at=["00:00"])
    await job.write_if_due(1)
    (first,) = names(folder)
    ahead = f"{first[: first.index('-', 5) + 1]}20990101T000000Z.dump"
    (folder / first).rename(folder / ahead)
    for _ in range(2):
        await job.write_if_due(1)
    written, kept = names(folder)
    assert (written >= first, kept) == (True, ahead)


async def test_a_folder_that_does_not_respond_stops_nothing_else(
    filled: ConnectOptions, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = job_of(filled, folder)
    await job.write_if_due(1)
    monkeypatch.setattr(BackupFolder, "check", lambda _: clock.sleep(1))
    waiting = asyncio.create_task(job.write_if_due(1))
    begun = clock.monotonic()
    await asyncio.sleep(0.05)
    assert clock.monotonic() - begun < 0.9
    await waiting


def test_the_latest_time_may_be_of_yesterday() -> None:
    times = [time(3), time(15, 30)]
    moment = datetime(2026, 11, 29, 16, tzinfo=UTC)
    assert latest_time(times, moment) == datetime(2026, 11, 29, 15, 30, tzinfo=UTC)
    assert latest_time(times, moment.replace(hour=3)) == datetime(2026, 11, 29, 3, tzinfo=UTC)
    assert latest_time(times, moment.replace(hour=2)) == datetime(2026, 11, 28, 15, 30, tzinfo=UTC)


def test_the_name_of_a_file_has_its_database_and_time(folder: Path) -> None:
    moment = datetime(2026, 11, 29, 3, tzinfo=UTC)
    one, other = BackupFolder(folder, HERE), BackupFolder(folder, HERE._replace(database_oid=6))
    assert one.new_file(moment) != other.new_file(moment)
    assert BackupFolder(folder, HERE._replace(timeline=2, users_oid=9)).new_file(moment) == one.new_file(moment)
    one.new_file(moment).touch()
    assert [dump.written_at for dump in one.dumps()] == [moment]
    assert other.dumps() == []


@pytest.mark.parametrize("text", ["3:00", "24:00", "03:60", "noon", "03:00;15:00", ","])
def test_a_wrong_time_of_day_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="backup_at"):
        Settings(_env_file=None, backup_at=text)


def test_several_times_of_day_are_read() -> None:
    settings = Settings(_env_file=None, backup_at="15:30, 03:00")
    assert settings.backup_times == [time(3), time(15, 30)]
