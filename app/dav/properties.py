"""The properties of the resources: root, user (principal and home of the collections in one), collection, object.

Each is the XML in its element. Properties that a resource lacks are listed as such.
"""

from collections.abc import Mapping
from functools import lru_cache
from typing import NamedTuple

from app.dav.names import (
    COLOR_PROPERTY,
    COMPONENTS_PROPERTY,
    DATA_PROPERTY,
    DISPLAY_NAME,
    ETAG_PROPERTY,
    RESOURCE_TYPE,
    TYPE_PROPERTY,
    Name,
    caldav,
    calendar_server,
    dav,
)
from app.dav.requests import PropertyRequest
from app.dav.xml_writer import empty_tag, href_tag, propstat, response, status_tag, tag, xml_text
from app.http.etags import entity_etag
from app.services.caldav.collections import Collection
from app.services.caldav.kept_lines import KEPT_BYTES_MAX
from app.services.caldav.sync import SyncToken

OBJECT_TYPE = "text/calendar; charset=utf-8; component=VTODO"
_READ_PRIVILEGES = ("read", "read-current-user-privilege-set")
_WRITE_PRIVILEGES = ("write", "write-properties", "write-content", "bind", "unbind")
_REPORT_NAMES = (("D", "sync-collection"), ("C", "calendar-query"), ("C", "calendar-multiget"))
_REPORT_SET = "".join(
    f"<D:supported-report><D:report><{prefix}:{name}/></D:report></D:supported-report>"
    for prefix, name in _REPORT_NAMES
)
OBJECT_FIXED: dict[Name, str] = {RESOURCE_TYPE: "", TYPE_PROPERTY: xml_text(OBJECT_TYPE)}


class Surroundings(NamedTuple):
    """Values that the properties of all resources of one request share."""

    principal: str  # the path of the user
    root: str
    may_write: bool

    @property
    def privileges(self) -> str:
        names = (*_READ_PRIVILEGES, *_WRITE_PRIVILEGES) if self.may_write else _READ_PRIVILEGES
        return "".join(f"<D:privilege><D:{name}/></D:privilege>" for name in names)


def _common(around: Surroundings) -> dict[Name, str]:
    return {
        dav("current-user-principal"): href_tag(around.principal),
        dav("current-user-privilege-set"): around.privileges,
        dav("principal-collection-set"): href_tag(around.root),
    }


def root_properties(around: Surroundings) -> dict[Name, str]:
    return {RESOURCE_TYPE: "<D:collection/>", DISPLAY_NAME: "Todo", **_common(around)}


def principal_properties(around: Surroundings, owner: str, revision: int) -> dict[Name, str]:
    return {
        RESOURCE_TYPE: "<D:collection/><D:principal/>",
        DISPLAY_NAME: xml_text(owner),
        **_common(around),
        dav("principal-URL"): href_tag(around.principal),
        dav("owner"): href_tag(around.principal),
        caldav("calendar-home-set"): href_tag(around.principal),
        caldav("calendar-user-address-set"): href_tag(around.principal),
        dav("supported-report-set"): "",
        calendar_server("getctag"): str(revision),
    }


def collection_properties(around: Surroundings, collection: Collection, revision: int) -> dict[Name, str]:
    found = {
        RESOURCE_TYPE: "<D:collection/><C:calendar/>",
        DISPLAY_NAME: xml_text(collection.title),
        **_common(around),
        dav("owner"): href_tag(around.principal),
        dav("supported-report-set"): _REPORT_SET,
        dav("sync-token"): str(SyncToken(revision)),
        calendar_server("getctag"): str(revision),
        COMPONENTS_PROPERTY: '<C:comp name="VTODO"/>',
        caldav("supported-calendar-data"): '<C:calendar-data content-type="text/calendar" version="2.0"/>',
        caldav("max-resource-size"): str(KEPT_BYTES_MAX),
    }
    if collection.color:
        found[COLOR_PROPERTY] = collection.color
    return found


def object_properties(version: int, data: str | None) -> dict[Name, str]:
    found = {**OBJECT_FIXED, ETAG_PROPERTY: xml_text(entity_etag(version))}
    if data is not None:
        found[DATA_PROPERTY] = xml_text(data)
    return found


def describe_object(href: str, version: int, data: str | None, wanted: PropertyRequest) -> str:
    """Returns the response about an object, of which a collection may have thousands."""
    if wanted.names is None:
        return describe(href, object_properties(version, data), wanted)
    before, after = _object_frame(tuple(wanted.names))
    tag_text = f'<D:getetag>"{version}"</D:getetag>' if ETAG_PROPERTY in wanted.names else ""
    text = "" if data is None else f"<C:calendar-data>{xml_text(data)}</C:calendar-data>"
    return f"<D:response>{href_tag(href)}{before}{tag_text}{text}{after}"


@lru_cache(256)
def _object_frame(names: tuple[Name, ...]) -> tuple[str, str]:
    """Returns what the responses about all objects have before and after the properties that differ."""
    own = {ETAG_PROPERTY, DATA_PROPERTY}
    fixed = "".join(
        tag(name, content) if (content := OBJECT_FIXED[name]) else empty_tag(name)
        for name in names
        if name in OBJECT_FIXED
    )
    missing = "".join(empty_tag(name) for name in names if name not in own and name not in OBJECT_FIXED)
    is_empty = missing and not fixed and own.isdisjoint(names)
    before = "" if is_empty else f"<D:propstat><D:prop>{fixed}"
    after = "" if is_empty else f"</D:prop>{status_tag(200)}</D:propstat>"
    return before, f"{after}{propstat(missing, 404) if missing else ''}</D:response>"


def describe(href: str, found: Mapping[Name, str], wanted: PropertyRequest) -> str:
    """Returns the response about a resource that has the properties ``found``."""
    if wanted.names is None:
        return response(href, dict.fromkeys(found, "") if wanted.names_only else found, ())
    there = {name: found[name] for name in wanted.names if name in found}
    return response(href, there, [name for name in wanted.names if name not in found])


def wants_data(wanted: PropertyRequest) -> bool:
    return wanted.names is not None and DATA_PROPERTY in wanted.names
