"""The calls of tools in a streamed reply, from their parts.

Servers differ in what joins the parts of a call: its index, its id, its place, or nothing since each part is whole.
"""

from dataclasses import dataclass, field
from typing import Any

from app.assistant.model.endpoint_errors import InvalidReply
from app.assistant.model.tool_arguments import is_whole_object, read_tool_arguments
from app.assistant.reply import ToolCallRequest, plain_text, plain_value

KNOWN_CALL_FIELDS = {"index", "id", "type", "function", "name", "arguments"}


@dataclass(slots=True)
class PartialCall:
    """A call as far as it has arrived. ``value`` holds arguments that came as a JSON value, not as text."""

    index: int | None = None
    id: str = ""
    name: str = ""
    text: str = ""
    value: Any = None
    extra: dict[str, Any] = field(default_factory=dict)

    def add(self, part: "PartialCall") -> None:
        self.id = self.id or part.id
        if part.name != self.name:  # most servers send it once, some with each part, some add to it
            self.name = part.name if part.name.startswith(self.name) else self.name + part.name
        self.text += part.text
        self.value = self.value if part.value is None else part.value
        self.extra |= part.extra

    @property
    def complete(self) -> bool:
        return self.value is not None or is_whole_object(self.text)

    @property
    def has_arguments(self) -> bool:
        return bool(self.text) or self.value is not None

    @property
    def size(self) -> int:
        return len(self.name) + len(self.text) + (0 if self.value is None else len(str(self.value)))

    def request(self, *, last_of_cut_reply: bool) -> ToolCallRequest:
        arguments = read_tool_arguments(self.text if self.value is None else self.value)
        incomplete = last_of_cut_reply and not self.complete
        kept = None if incomplete else arguments
        return ToolCallRequest(plain_text(self.id), self.name, kept, incomplete, plain_value(self.extra))


def read_call_parts(value: Any) -> list[PartialCall]:
    """Reads ``tool_calls`` of a message or a delta. Raises InvalidReply."""
    if not value:
        return []
    items = value if isinstance(value, list) else [value]
    if not all(isinstance(item, dict) for item in items):
        raise InvalidReply("a tool call is not an object")
    return [_read_part(item) for item in items]


def _read_part(item: dict[str, Any]) -> PartialCall:
    function = item.get("function")
    if not isinstance(function, dict):
        function = item  # some servers leave out the level between
    name, arguments = function.get("name"), function.get("arguments")
    part = PartialCall(
        _read_index(item.get("index")), _read_id(item.get("id")), name.strip() if isinstance(name, str) else ""
    )
    part.extra = {key: value for key, value in item.items() if key not in KNOWN_CALL_FIELDS and value is not None}
    if isinstance(arguments, str):
        part.text = arguments
    elif arguments is not None:
        part.value = arguments
    return part


def _read_index(value: Any) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value[:9])
    return (
        int(value) if isinstance(value, int | float) and not isinstance(value, bool) and value == value // 1 else None
    )


def _read_id(value: Any) -> str:
    return value if isinstance(value, str) else str(value) if isinstance(value, int) and value is not False else ""


class CallDeltas:
    """The calls of one streamed reply."""

    def __init__(self) -> None:
        self.calls: list[PartialCall] = []

    def feed(self, value: Any) -> int:
        """Adds the parts of one delta; returns their number of characters."""
        parts, touched = read_call_parts(value), list[PartialCall]()
        for part in parts:
            call = self._continued(part, touched)
            if call is None:
                call = part
                self.calls.append(part)
            elif not _repeats(call, part):
                call.add(part)
            touched.append(call)
        return sum(part.size for part in parts)

    def _continued(self, part: PartialCall, touched: list[PartialCall]) -> PartialCall | None:
        """Returns the call that ``part`` continues; None if it begins another one."""
        of_part = [
            call
            for call in self.calls
            if part.index in (None, call.index) and (not part.id or call.id in ("", part.id))
        ]
        if not of_part:
            return None
        call = of_part[-1]
        identified = part.index is not None or bool(part.id and part.id == call.id)
        if part.name and not identified and call in touched:
            return None
        if part.name and not part.name.startswith(call.name):  # another name, or the rest of this one
            is_rest = part.index is not None and not part.id and not call.has_arguments
            return call if is_rest else None
        begins = part.value is not None or part.text.lstrip().startswith("{")
        return None if part.name and begins and call.complete and not _repeats(call, part) else call


def _repeats(call: PartialCall, part: PartialCall) -> bool:
    """Returns whether ``part`` is the whole call once more, which some servers send at the end."""
    same = (call.id, call.name, call.text, call.value) == (part.id, part.name, part.text, part.value)
    return same and bool(part.id) and call.complete


def finish_calls(calls: list[PartialCall], *, cut: bool) -> list[ToolCallRequest]:
    """Returns the calls of a reply; ``cut``: it ended before the model was done. Raises InvalidReply."""
    calls = [call for call in calls if call.name or call.id or call.has_arguments]
    if not all(call.name for call in calls):
        raise InvalidReply("a tool call has no name")
    return [call.request(last_of_cut_reply=cut and call is calls[-1]) for call in calls]
