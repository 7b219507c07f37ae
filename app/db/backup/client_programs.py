"""PostgreSQL's own client programs: which to run, and how to pass them a password that no other user can see."""

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

PROGRAM_NAMES = ("pg_dump", "pg_restore", "psql")
# Parameters of a URL and libpq's environment variables for them: every user of a machine can read command lines.
LIBPQ_VARIABLES = {
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
    """A program is missing, outdated, or failed; the message is one line for the operator."""


class Tools(NamedTuple):
    folder: str
    major: int

    def path(self, name: str) -> str:
        return shutil.which(name, path=self.folder) or name


async def find_tools(server: int) -> Tools:
    """Finds the newest of the programs in the PATH and those of the embedded PostgreSQL.

    They work with servers of their own major version and older: raises ToolError if ``server`` is newer.
    """
    folders = [str(folder) for folder in (binaries(), _in_path()) if folder is not None]
    found = [tools for folder in folders if (tools := await _tools_in(folder)) is not None]
    if not found:
        raise ToolError(f"{', '.join(PROGRAM_NAMES)} are not installed: they come with PostgreSQL's client package")
    newest = max(found, key=lambda tools: tools.major)
    if newest.major < server:
        raise ToolError(
            f"the server is PostgreSQL {server}, and pg_dump here is {newest.major}: install the client of {server}"
        )
    return newest


def _in_path() -> Path | None:
    found = shutil.which(PROGRAM_NAMES[0])
    return Path(found).parent if found else None


async def _tools_in(folder: str) -> Tools | None:
    if not all(shutil.which(name, path=folder) for name in PROGRAM_NAMES):
        return None
    tools = Tools(folder, 0)
    output = await run_tool(tools.path(PROGRAM_NAMES[0]), "--version", environment={})
    version = re.search(r"\(PostgreSQL\) (\d+)", output)
    return tools._replace(major=int(version[1])) if version else None


def connection_environment(url: str) -> dict[str, str]:
    """Translates ``url``, which ``connect_options`` has accepted, into libpq's environment variables."""
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
    return {
        LIBPQ_VARIABLES[name]: value for name, value in {**values, **query}.items() if name in LIBPQ_VARIABLES and value
    }


@asynccontextmanager
async def running_program(
    *command: str, environment: dict[str, str], stdin: int = DEVNULL, stdout: int = PIPE
) -> AsyncIterator[Process]:
    """Starts a program, and kills it if it still runs at the end of the context."""
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
    """Runs a program and returns its standard output. Raises ToolError with its error message."""
    async with running_program(*command, environment=environment) as process:
        output, errors = await process.communicate()
    if process.returncode != 0:
        raise ToolError(describe_tool_failure(command[0], errors))
    return output.decode(errors="replace")


def describe_tool_failure(program: str, errors: bytes) -> str:
    """Picks the line of a program's error output that names the error."""
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    found = [line for line in lines if re.search(r"error:|ERROR:|FATAL:", line)] or lines or ["it printed nothing"]
    line = re.sub(r"^(psql:\S*|\S*pg_\w+): *(error:)? *", "", found[0])
    return f"{Path(program).name} failed: {line}"
