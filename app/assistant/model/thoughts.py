"""Removal of a model's thoughts from its text: some servers send them within the text, in tags at its beginning."""

import re

# Opening and closing tags of DeepSeek, Qwen, Gemini and Magistral.
THOUGHT_TAGS = {
    "<think>": "</think>",
    "<thinking>": "</thinking>",
    "<thought>": "</thought>",
    "<reasoning>": "</reasoning>",
    "[THINK]": "[/THINK]",
}
# A chat template may contain the opening tag: then only the closing one is in the reply.
_UNOPENED_THOUGHT = re.compile(r"\A.*?^</think(?:ing)?>\s*", re.DOTALL | re.MULTILINE)


class ThoughtFilter:
    """Removes thoughts from text that arrives in parts."""

    def __init__(self) -> None:
        self._held, self._closing, self._passing = "", "", False

    def feed(self, text: str) -> str:
        """Returns the part of the text so far that is certainly none of a thought."""
        if self._passing:
            return text
        self._held += text
        while True:
            if self._closing:
                _, found, rest = self._held.partition(self._closing)
                if not found:
                    return ""
                self._held, self._closing = rest, ""
            self._held = self._held.lstrip()
            opening = next((tag for tag in THOUGHT_TAGS if self._held.startswith(tag)), None)
            if opening is None:
                break
            self._held, self._closing = self._held[len(opening) :], THOUGHT_TAGS[opening]
        if any(tag.startswith(self._held) for tag in THOUGHT_TAGS):  # perhaps the beginning of a tag
            return ""
        self._passing = True
        return self._held

    def end(self) -> str:
        """Returns the rest at the end of the text: what may have become a tag and did not."""
        return "" if self._passing or self._closing else self._held


def drop_unopened_thought(text: str) -> str:
    """Returns ``text`` without a thought that only a closing tag marks."""
    return _UNOPENED_THOUGHT.sub("", text, count=1)
