"""The outcome of a message, as the user reads it: an empty, cut or refused answer says so, and what was done before."""

from typing import Any

from app.assistant.confirmation import NEEDS_CONFIRMATION
from app.assistant.reply import Finish, Reply
from app.assistant.tools import TOOLS_BY_NAME
from app.schemas.chat import ChatOutcome

DONE_CALLS_SHOWN = 10
STOPPED_TEXT = "I stopped here: this took more steps than one message may take."
EMPTY_TEXT = "The language model returned no answer."
CUT_TEXT = "The answer ends here: it reached the limit of one answer."
NO_ANSWER_TEXT = "The language model reached the limit of one answer before it said anything."
FILTERED_TEXT = "The filter of the language model's provider stopped the answer."
REFUSED_TEXT = "The language model refused to answer."


def conclude(reply: Reply, calls: list[dict[str, Any]]) -> tuple[ChatOutcome, str, str]:
    """Returns the outcome, the answer, and what of it the model did not write. ``calls`` are those of the message."""
    text = reply.text.strip()
    outcome, notice = _notice(reply, text)
    if notice and (done := describe_calls(calls)):
        notice = f"{notice} {done}"
    return outcome, "\n\n".join(filter(None, (text, notice))), notice


def _notice(reply: Reply, text: str) -> tuple[ChatOutcome, str]:
    if reply.refusal:
        return ChatOutcome.REFUSED, reply.refusal if not text else f"{REFUSED_TEXT} {reply.refusal}"
    if reply.finish is Finish.FILTER:
        return ChatOutcome.REFUSED, FILTERED_TEXT
    if reply.finish is Finish.LENGTH:
        return ChatOutcome.CUT_OFF, CUT_TEXT if text else NO_ANSWER_TEXT
    if reply.calls:
        return ChatOutcome.STEP_LIMIT, "" if text else STOPPED_TEXT
    return (ChatOutcome.ANSWERED, "") if text else (ChatOutcome.EMPTY, EMPTY_TEXT)


def describe_calls(calls: list[dict[str, Any]]) -> str:
    """Describes the writes that were made and the calls that wait for confirmation; empty without any."""
    done, waiting = [], []
    for call in calls:
        result, tool = call["result"], TOOLS_BY_NAME.get(call["tool"])
        if result.get("status") == NEEDS_CONFIRMATION:
            waiting.append(_describe(call["tool"], call["arguments"]))
        elif tool is not None and not tool.read_only and "error" not in result:
            done.append(_describe(call["tool"], result))
    sentences = []
    if done:
        sentences.append(f"Done before that: {_listed(done)}.")
    if waiting:
        sentences.append(f'Not done, waiting for your "yes": {_listed(waiting)}.')
    return " ".join(sentences)


def _describe(tool: str, values: dict[str, Any]) -> str:
    named = next((values[name] for name in ("title", "name", "tag") if isinstance(values.get(name), str)), None)
    ids = [values[name] for name in ("task_id", "project_id") if isinstance(values.get(name), int)]
    parts = [tool, *([f'"{named}"'] if named else []), *([f"({ids[0]})"] if ids else [])]
    return " ".join(parts)


def _listed(texts: list[str]) -> str:
    more = len(texts) - DONE_CALLS_SHOWN
    return ", ".join(texts[:DONE_CALLS_SHOWN]) + (f" and {more} more" if more > 0 else "")
