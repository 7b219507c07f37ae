"""The bodies of requests: which properties are asked for or set, and which report is wanted."""

from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from app.dav.names import (
    COMPONENTS_PROPERTY,
    RESOURCE_TYPE,
    Name,
    caldav,
    dav,
)
from app.dav.xml_reader import Element, parse_xml
from app.errors import FilterRefused, MalformedXml, ReportUnknown

ReportKind = Literal["query", "multiget", "sync"]
REPORT_KINDS: dict[Name, ReportKind] = {
    caldav("calendar-query"): "query",
    caldav("calendar-multiget"): "multiget",
    dav("sync-collection"): "sync",
}
LIMIT_DIGITS = 9
SET_ELEMENTS = {dav("mkcol"), caldav("mkcalendar"), dav("propertyupdate")}


class PropertyRequest(NamedTuple):
    """The properties that are asked for: by name, or all that are usual; or only their names."""

    names: list[Name] | None
    names_only: bool = False


ALL_PROPERTIES = PropertyRequest(None)


@dataclass(slots=True)
class Report:
    """A REPORT. ``filter`` is that of a query, ``hrefs`` those of a multiget, ``token`` and ``limit`` of a sync."""

    kind: ReportKind
    properties: PropertyRequest
    filter: Element | None = None
    hrefs: list[str] = field(default_factory=list)
    token: str = ""
    limit: int | None = None


@dataclass(slots=True)
class PropertyChanges:
    """The properties that are set, as text, and those that are removed, in their order."""

    set: dict[Name, str] = field(default_factory=dict)
    removed: list[Name] = field(default_factory=list)
    components: list[str] | None = None
    is_calendar: bool = False

    @property
    def names(self) -> list[Name]:
        return [*self.set, *self.removed]


def read_propfind(body: bytes) -> PropertyRequest:
    """Reads a PROPFIND; without a body it asks for all (RFC 4918, 9.1). Raises MalformedXml."""
    if not body.strip():
        return ALL_PROPERTIES
    root = parse_xml(body)
    if root.name != dav("propfind"):
        raise MalformedXml
    return _read_properties(root)


def _read_properties(root: Element) -> PropertyRequest:
    if (found := root.find(dav("prop"))) is not None:
        return PropertyRequest(list(dict.fromkeys(child.name for child in found.children)))
    return PropertyRequest(None, names_only=root.find(dav("propname")) is not None)


def read_report(body: bytes) -> Report:
    """Reads a REPORT. Raises MalformedXml, ReportUnknown and FilterRefused."""
    root = parse_xml(body)
    kind = REPORT_KINDS.get(root.name)
    if kind is None:
        raise ReportUnknown
    report = Report(kind, _read_properties(root))
    if kind == "query":
        report.filter = root.find(caldav("filter"))
        if report.filter is None:
            raise FilterRefused
    elif kind == "multiget":
        report.hrefs = [child.text.strip() for child in root.find_all(dav("href"))]
    else:
        token = root.find(dav("sync-token"))
        report.token = "" if token is None else token.text.strip()
        report.limit = _read_limit(root)
    return report


def _read_limit(root: Element) -> int | None:
    limit = root.find(dav("limit"))
    number = None if limit is None else limit.find(dav("nresults"))
    if number is None:
        return None
    text = number.text.strip()
    if not (text.isascii() and text.isdecimal() and len(text) <= LIMIT_DIGITS and int(text) > 0):
        raise MalformedXml("nresults is a number above 0.")
    return int(text)


def read_changes_of_properties(body: bytes) -> PropertyChanges:
    """Reads a PROPPATCH, a MKCALENDAR or an extended MKCOL; of the last two the body may be empty.

    Raises MalformedXml.
    """
    changes = PropertyChanges()
    if not body.strip():
        return changes
    root = parse_xml(body)
    if root.name not in SET_ELEMENTS:
        raise MalformedXml
    for action in root.children:
        properties = action.find(dav("prop"))
        if action.name not in {dav("set"), dav("remove")} or properties is None:
            continue
        for each in properties.children:
            if action.name == dav("remove"):
                changes.removed.append(each.name)
            elif each.name == RESOURCE_TYPE:
                changes.is_calendar = each.find(caldav("calendar")) is not None
                changes.set[each.name] = ""
            elif each.name == COMPONENTS_PROPERTY:
                changes.components = [child.attributes.get("name", "").upper() for child in each.children]
                changes.set[each.name] = ""
            else:
                changes.set[each.name] = each.text
    return changes
