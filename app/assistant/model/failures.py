"""The errors of the model's server as the user sees them: a sentence without anything of the server."""

import math
import re
from email.utils import parsedate_to_datetime

from app.assistant.model.endpoint_errors import EndpointError
from app.clock import now
from app.errors import AppError, ModelBusy, ModelFailed, ModelTimeout

MODEL_RETRY_AFTER, LONGEST_RETRY = 5, 300  # seconds
BUSY_STATUSES = {429, 503, 529}
TIMEOUT_STATUSES = {408, 504, 524}
# Words of the servers' messages and codes: there is no status of its own for these.
_FILTER_WORDS = re.compile(
    r"content_filter|responsibleaipolicy|content management policy|prohibited_content", re.IGNORECASE
)
_NO_TOOLS_WORDS = re.compile(
    r"(?:not|n't|no endpoints)[^.]{0,40}\b(?:tools?|function.?call\w*)\b|enable-auto-tool-choice|--jinja", re.IGNORECASE
)
_TOO_LONG_WORDS = re.compile(
    r"context.?(?:length|window|size)|maximum context|prompt is too long|too many tokens|n_ctx", re.IGNORECASE
)
_BUSY_WORDS = re.compile(r"rate.?limit|overloaded|too many requests", re.IGNORECASE)

KEPT_TEXT = "Your message is kept; what was done before stays done."
ACCESS_TEXT = f"The language model's server refused this service: its operator must check LLM_API_KEY. {KEPT_TEXT}"
CREDIT_TEXT = f"The account of this service with its language model has no credit left: tell its operator. {KEPT_TEXT}"
UNKNOWN_MODEL_TEXT = (
    "The language model or its address is unknown to its server: the operator must check LLM_MODEL and "
    f"LLM_BASE_URL. {KEPT_TEXT}"
)
NO_TOOLS_TEXT = f"This language model cannot use tools: the operator must set another LLM_MODEL. {KEPT_TEXT}"
TOO_LONG_TEXT = f"The conversation is too long for the language model: start a new one. {KEPT_TEXT}"


def is_filtered(error: EndpointError) -> bool:
    """Returns whether a filter of the provider refused what the user wrote."""
    return _FILTER_WORDS.search(f"{error.code} {error.message}") is not None


def error_for_user(error: EndpointError) -> AppError:
    """Returns the application error; its details are in the log."""
    status, words = error.status, f"{error.code} {error.message}"
    if status in TIMEOUT_STATUSES:
        return ModelTimeout()
    if status in (401, 403):
        return ModelFailed(ACCESS_TEXT)
    if status == 402 or "insufficient_quota" in words:
        return ModelFailed(CREDIT_TEXT)
    if status in BUSY_STATUSES or (status in (None, 500, 502) and _BUSY_WORDS.search(words)):
        seconds = _retry_seconds(error.retry_after)
        return ModelBusy(retry_after=math.ceil(min(seconds, LONGEST_RETRY)) if seconds > 0 else MODEL_RETRY_AFTER)
    if status == 413 or _TOO_LONG_WORDS.search(words):
        return ModelFailed(TOO_LONG_TEXT)
    if _NO_TOOLS_WORDS.search(words):
        return ModelFailed(NO_TOOLS_TEXT)
    return ModelFailed(UNKNOWN_MODEL_TEXT) if status == 404 else ModelFailed()


def _retry_seconds(header: str) -> float:
    """Reads Retry-After, seconds or a date; returns 0 for anything else."""
    try:
        return float(header)
    except ValueError:
        pass
    try:
        return (parsedate_to_datetime(header) - now()).total_seconds()
    except (ValueError, TypeError):
        return 0
