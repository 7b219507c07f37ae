"""Facts of the assistant and of agents."""

from app.errors.kinds import AppError, Invalid, Kind, NotFound


class AssistantNotInstalled(AppError):
    kind, code = Kind.UNAVAILABLE, "assistant_not_installed"
    message = (
        "This service runs without its assistant: its operator must install it with "
        "pip install -c constraints.txt -e '.[assistant]'"
    )


class UnknownTool(NotFound):
    code, message = "unknown_tool", "There is no tool of that name."


class BadArguments(Invalid):
    """The detail names each argument that is not acceptable, for the model to mend."""

    code, message = "bad_arguments", "The arguments are not acceptable."


class NothingToUndo(NotFound):
    code, message = "nothing_to_undo", "There is no change left here that could be undone."


class HostRefused(AppError):
    kind, code = Kind.FORBIDDEN, "host_refused"
    message = "This service does not know itself by this name: its operator must set PUBLIC_URL or MCP_HOSTS."


class PageRefused(AppError):
    kind, code = Kind.FORBIDDEN, "origin_refused"
    message = "Pages of this origin may not call this service: its operator must name it in CORS_ORIGINS."
