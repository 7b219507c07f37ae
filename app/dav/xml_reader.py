"""Reading the XML of a request: no document type, so no entities; bounded in depth, elements and text."""

from dataclasses import dataclass, field
from xml.parsers import expat  # with the document type refused before any entity is declared

from app.dav.names import Name
from app.errors import MalformedXml

XML_LEVELS_MAX, XML_ELEMENTS_MAX = 30, 20_000
_NAME_SEPARATOR = " "  # which no namespace and no name has


@dataclass(slots=True)
class Element:
    """An element; ``text`` is that directly in it."""

    name: Name
    attributes: dict[str, str]
    children: list["Element"] = field(default_factory=list)
    text: str = ""

    def find(self, name: Name) -> "Element | None":
        """Returns the first child of this name."""
        return next((child for child in self.children if child.name == name), None)

    def find_all(self, name: Name) -> list["Element"]:
        return [child for child in self.children if child.name == name]


class _TreeBuilder:
    def __init__(self) -> None:
        self.root: Element | None = None
        self._stack: list[Element] = []
        self._count = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if len(self._stack) >= XML_LEVELS_MAX or self._count > XML_ELEMENTS_MAX:
            raise MalformedXml
        element = Element(_name_of(tag), {_name_of(name)[1]: value for name, value in attributes.items()})
        if self._stack:
            self._stack[-1].children.append(element)
        else:
            self.root = element
        self._stack.append(element)

    def end(self, tag: str) -> None:
        self._stack.pop()

    def data(self, text: str) -> None:
        if self._stack:
            self._stack[-1].text += text


def parse_xml(body: bytes) -> Element:
    """Returns the root of a document. Raises MalformedXml."""
    builder = _TreeBuilder()
    parser = expat.ParserCreate(namespace_separator=_NAME_SEPARATOR)
    parser.buffer_text = True
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.StartElementHandler, parser.EndElementHandler = builder.start, builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, ValueError, LookupError):  # ValueError: an encoding that Python has, and expat cannot use
        raise MalformedXml from None
    if builder.root is None:
        raise MalformedXml
    return builder.root


def _refuse_doctype(*_: object) -> None:
    raise MalformedXml


def _name_of(tag: str) -> Name:
    space, separator, name = tag.rpartition(_NAME_SEPARATOR)
    return (space, name) if separator else ("", tag)
