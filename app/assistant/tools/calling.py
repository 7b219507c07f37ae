"""Calls of tools: validated arguments, one transaction of the owner, the result as JSON values."""

from typing import Any

import msgspec
from pydantic import ValidationError

from app.assistant.tools import TOOLS_BY_NAME
from app.assistant.tools.tool import Tool, ToolContext
from app.assistant.tools.undo import undo_last
from app.db.contention import retry_on_contention
from app.db.database import Database
from app.db.session import Session
from app.errors import AppError, BadArguments, InsufficientScope, UnknownTool
from app.errors.findings import describe_findings, locate_errors, make_findings
from app.models.task_aliases import SENT_NAMES
from app.services.assistant.agent_writes import begin_agent_write, record_agent_writes
from app.services.uids import NamedRow, find_named_row

FINDINGS_FOR_MODEL = 5  # that a model can correct in its next call


def find_tool(name: str, *, may_write: bool = True) -> Tool:
    """Finds a tool. Raises UnknownTool, and InsufficientScope for one that writes unless ``may_write``."""
    tool = TOOLS_BY_NAME.get(name)
    if tool is None:
        raise UnknownTool
    if not (tool.read_only or may_write):
        raise InsufficientScope
    return tool


def read_arguments(tool: Tool, arguments: Any, *, description_max: int) -> Any:
    """Validates arguments like the JSON body of the same call over HTTP. Raises BadArguments.

    null means that an argument was left out: clients and models send it for each that they do not use.
    """
    try:
        plain = _without_null(arguments, tool.keeps_null)
        return tool.arguments.model_validate(plain, context={"description_max": description_max})
    except ValidationError as error:
        found = make_findings(locate_errors(error, arguments), SENT_NAMES)[:FINDINGS_FOR_MODEL]
        raise BadArguments(describe_findings(found, "arguments")) from None


def _without_null(value: Any, kept: frozenset[str] = frozenset()) -> Any:
    """Removes members that are null, at any depth; those in ``kept`` only below the top."""
    if isinstance(value, dict):
        return {name: _without_null(each) for name, each in value.items() if each is not None or name in kept}
    return [_without_null(each) for each in value] if isinstance(value, list) else value


@retry_on_contention
async def call_tool(
    database: Database, owner: str, tool: Tool, arguments: Any, *, source: str, agent: str
) -> dict[str, Any]:
    """Runs ``tool`` with arguments from ``read_arguments``. Raises the application errors of its service.

    An error that the tool returns, and does not raise, is raised here after the commit.
    """
    async with database.transaction(owner, read_only=tool.read_only) as session:
        session.source = source
        call = ToolContext(session, owner, await _resolve_uids(session, owner, arguments), agent)
        result = await (tool.run(call) if tool.read_only else _run_write(session, call, tool))
        plain: dict[str, Any] = {} if isinstance(result, AppError) else msgspec.to_builtins(result)
    if isinstance(result, AppError):
        raise result
    return plain


async def _resolve_uids(session: Session, owner: str, arguments: Any) -> Any:
    """Returns ``arguments`` with an id in place of each ``uid:...``. Raises TaskNotFound, ProjectNotFound."""
    named = {name: value for name, value in arguments if isinstance(value, NamedRow)}
    if not named:
        return arguments
    return arguments.model_copy(
        update={name: await find_named_row(session, owner, value) for name, value in named.items()}
    )


async def _run_write(session: Session, call: ToolContext, tool: Tool) -> Any:
    since = await begin_agent_write(session, call.owner)
    result = await tool.run(call)
    if tool.run is not undo_last:  # the next undo goes one write further back
        await record_agent_writes(session, call.owner, call.agent, since=since)
    return result
