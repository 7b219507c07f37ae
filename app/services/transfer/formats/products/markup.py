"""The text of HTML in which some products keep descriptions and comments. Links and images keep their addresses."""

import html
import re

_MARKUP_TAG = re.compile(r"<(?:!--[^<>]*--|(/?)([a-zA-Z][a-zA-Z0-9]*)([^<>]*))>")
_ADDRESS_PATTERN = re.compile(r"""(?:href|src)\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_MARKED_PATTERN = re.compile(r"""data-checked\s*=\s*["']?(true|false)""", re.IGNORECASE)
_BLOCK_BEGIN = "\x01"  # becomes the end of the line before, if there is one
_BLOCK_PATTERN = re.compile(rf"([^\n{_BLOCK_BEGIN}]?){_BLOCK_BEGIN}+")
_CSS_PATTERN = re.compile(r"<(style|script|head)\b[^<>]*>[^<]*</\1\s*>", re.IGNORECASE)
_KNOWN_TAG = re.compile(r"<(?:p|br|div|ul|ol|li|h[1-6]|a|span|html|body|strong|em|b|i)\b[^<>]*>", re.IGNORECASE)
_BROKEN_ITEM = re.compile(r"^(-(?: \[[x ]\])?) *\n\s*", re.MULTILINE)
_BLANK_LINES = re.compile(r"\n[ \t]*\n[ \t\n]*")
BLOCK_TAGS = frozenset({"p", "div", "h1", "h2", "h3", "h4", "h5", "h6", "tr", "ul", "ol", "blockquote", "pre", "table"})


def markup_text(markup: str) -> str:
    """Returns the text of HTML, with a line for each paragraph and item."""
    links: list[str] = []

    def replace(found: re.Match[str]) -> str:
        end, name, rest = found[1], (found[2] or "").lower(), found[3] or ""
        if name == "br":
            return "\n"
        if name == "a":
            if end:
                return links.pop() if links else ""
            address = _address(rest)
            links.append(f" ({address})" if address else "")
            return ""
        if name == "img":
            return f" {_address(rest)} "
        if name == "li":
            marked = _MARKED_PATTERN.search(rest)
            box = f"[{'x' if marked[1].lower() == 'true' else ' '}] " if marked else ""
            return "\n" if end else f"{_BLOCK_BEGIN}- {box}"
        if name not in BLOCK_TAGS:
            return ""
        return "\n" if end else _BLOCK_BEGIN

    markup = _CSS_PATTERN.sub("", markup.replace("\r\n", "\n").replace(_BLOCK_BEGIN, ""))
    text = _BLOCK_PATTERN.sub(lambda found: f"{found[1]}\n" if found[1] else "", _MARKUP_TAG.sub(replace, markup))
    lines = (line.rstrip() for line in _without_doubled(html.unescape(text)).split("\n"))
    return _BLANK_LINES.sub("\n\n", _BROKEN_ITEM.sub(r"\1 ", "\n".join(lines))).strip()


def is_markup(text: str) -> bool:
    """Returns whether a text is HTML rather than plain text with a sign in it."""
    return bool(_KNOWN_TAG.search(text))


def _without_doubled(text: str) -> str:
    """Returns a text where a link that is its own text stands once."""
    return re.sub(r"(https?://[^\s()]+) \(\1/?\)", r"\1", text)


def _address(rest: str) -> str:
    found = _ADDRESS_PATTERN.search(rest)
    return html.unescape(next((part for part in found.groups() if part), "")) if found else ""
