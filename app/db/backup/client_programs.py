"""PostgreSQL's own client programs: which to run, and how they find a database without a password in sight."""

import asyncio
import re
import shutil
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from app.config import inherited_environment
from app.db.embedded import binaries

NAMES = ("pg_dump", "pg_restore", "psql")
# What libpq reads from a URL, under the names it has in the environment: a command line is everybody's to read.
VARIABLES = {
    "host": "PGHOST",
    "port": "PGPORT",
    "user": "PGUSER",
    "password": "PGPASSWORD",
    "database": "PGDATABASE",
    "dbname": "PGDATABASE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "sslcert": "PGSSLCERT",
    "sslkey": "PGSSLKEY",
    "channel_binding": "PGCHANNELBINDING",
    "connect_timeout": "PGCONNECT_TIMEOUT",
    "options": "PGOPTIONS",
    "target_session_attrs": "PGTARGETSESSIONATTRS",
}


class ToolError(ValueError):
    """A program is missing, too old, or failed; the message is one line for the operator."""


class Tools(NamedTuple):
    folder: str
    major: int

    def path(self, name: str) -> str:
        return shutil.which(name, path=self.folder) or name


async def find_tools(server: int) -> Tools:
    """The newest of those in the PATH and those that came with the embedded PostgreSQL.

    They read servers of their own major version and older: raises ToolError when ``server`` is newer.
    """
    folders = [str(folder) for folder in (binaries(), _in_path()) if folder is not None]
    found = [tools for folder in folders if (tools := await _tools_in(folder)) is not None]
    if not found:
        raise ToolError(f"{', '.join(NAMES)} are not installed: they come with PostgreSQL's client package")
    newest = max(found, key=lambda tools: tools.major)
    if newest.major < server:
        raise ToolError(
            f"the server is PostgreSQL {server}, and pg_dump here is {newest.major}: install the client of {server}"
        )
    return newest


def _in_path() -> Path | None:
    found = shutil.which(NAMES[0])
    return Path(found).parent if found else None


async def _tools_in(folder: str) -> Tools | None:
    if not all(shutil.which(name, path=folder) for name in NAMES):
        return None
    tools = Tools(folder, 0)
    said = await run_tool(tools.path(NAMES[0]), "--version", environment={})
    version = re.search(r"\(PostgreSQL\) (\d+)", said)
    return tools._replace(major=int(version[1])) if version else None


def connection_environment(url: str) -> dict[str, str]:
    """``url``, which ``connect_options`` has accepted, as variables that libpq reads."""
    parts = urlsplit(url.strip())
    credentials, _, hosts = parts.netloc.rpartition("@")
    user, _, password = credentials.partition(":")
    places = [re.fullmatch(r"(.*?)(?::(\d+))?", host) for host in hosts.split(",")]
    values = {
        "host": ",".join(place[1].strip("[]") for place in places if place),
        "port": ",".join(place[2] or "5432" for place in places if place) if hosts else "",
        "user": unquote(user),
        "password": unquote(password),
        "database": unquote(parts.path[1:]),
    }
    query = dict(parse_qsl(parts.query))
    if "ssl" in query:
        query.setdefault("sslmode", {"true": "require", "1": "require", "false": "disable"}.get(query["ssl"], "prefer"))
    return {VARIABLES[name]: value for name, value in {**values, **query}.items() if name in VARIABLES and value}


@asynccontextmanager
async def started(
    *command: str, environment: dict[str, str], stdin: int = DEVNULL, stdout: int = PIPE
) -> AsyncIterator[Process]:
    """A running program, which does not outlive the context."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=stdin, stdout=stdout, stderr=PIPE, env={**inherited_environment(), "LC_ALL": "C", **environment}
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def run_tool(*command: str, environment: dict[str, str]) -> str:
    """What it wrote to standard output. Raises ToolError with what it said when it fails."""
    async with started(*command, environment=environment) as process:
        output, said = await process.communicate()
    if process.returncode != 0:
        raise ToolError(complaint(command[0], said))
    return output.decode(errors="replace")


def complaint(program: str, said: bytes) -> str:
    """The line that says what is wrong."""
    lines = [line.strip() for line in said.decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if re.search(r"error:|ERROR:|FATAL:", line)] or lines or ["it said nothing"]
    line = re.sub(r"^(psql:\S*|\S*pg_\w+): *(error:)? *", "", telling[0])
    return f"{Path(program).name} failed: {line}"
