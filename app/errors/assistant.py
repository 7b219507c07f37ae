"""Errors of the assistant and of agents."""

from app.errors.kinds import AppError, ErrorKind, Invalid, NotFound

ENVELOPE_MAX = 8_192  # bytes of a message without a tool's arguments; here because the message of the error names it


class AssistantNotInstalled(AppError):
    kind, code = ErrorKind.UNAVAILABLE, "assistant_not_installed"
    message = (
        "This service runs without its assistant: its operator must install it with "
        "pip install -c constraints.txt -e '.[assistant]'"
    )


class UnknownTool(NotFound):
    code, message = "unknown_tool", "There is no tool of that name."


class BadArguments(Invalid):
    """The detail names each argument that is not acceptable, so that the model can correct it."""

    code, message = "bad_arguments", "The arguments are not acceptable."


class NothingToUndo(NotFound):
    code, message = "nothing_to_undo", "There is no change left here that could be undone."


class HostRefused(AppError):
    kind, code = ErrorKind.FORBIDDEN, "host_refused"
    message = "This host name is not one of this service: its operator must set PUBLIC_URL or MCP_HOSTS."


class PageRefused(AppError):
    kind, code = ErrorKind.FORBIDDEN, "origin_refused"
    message = "Pages of this origin may not call this service: its operator must name it in CORS_ORIGINS."


class ChatNotConfigured(AppError):
    kind, code = ErrorKind.UNAVAILABLE, "chat_not_configured"
    message = (
        "This service has no model to talk to: its operator must set LLM_MODEL, and LLM_BASE_URL or "
        "LLM_API_KEY of any OpenAI-compatible endpoint."
    )


class ConversationNotFound(NotFound):
    code, message = "conversation_not_found", "Conversation not found"


class ChatBudgetSpent(AppError):
    kind, code = ErrorKind.RATE_LIMITED, "chat_budget_spent"
    message = "This user's tokens for today are spent: the next day begins at midnight UTC."


class TooManyChats(AppError):
    kind, code = ErrorKind.RATE_LIMITED, "too_many_chats"
    message = "Too many messages of this user are being answered already: wait until one of them is done."


class ModelFailed(AppError):
    kind, code = ErrorKind.BAD_GATEWAY, "model_failed"
    message = "The language model did not answer as it should. Your message is kept; what was done before stays done."


class ModelTimeout(AppError):
    kind, code = ErrorKind.GATEWAY_TIMEOUT, "model_timeout"
    message = "The language model took too long. Your message is kept; what was done before stays done."


class ModelBusy(AppError):
    kind, code = ErrorKind.UNAVAILABLE, "model_busy"
    message = "The language model is overloaded. Your message is kept: try again."


class MessageTooLarge(AppError):
    kind, code = ErrorKind.TOO_LARGE, "message_too_large"
    message = f"A message has at most {ENVELOPE_MAX} bytes without a tool's arguments."
