"""The names of WebDAV, CalDAV and its extensions: pairs of a namespace and a local name."""

Name = tuple[str, str]
DAV_SPACE, CALDAV_SPACE = "DAV:", "urn:ietf:params:xml:ns:caldav"
CALENDAR_SERVER_SPACE, APPLE_SPACE = "http://calendarserver.org/ns/", "http://apple.com/ns/ical/"
SPACE_PREFIXES = {DAV_SPACE: "D", CALDAV_SPACE: "C", CALENDAR_SERVER_SPACE: "CS", APPLE_SPACE: "A"}


def dav(name: str) -> Name:
    return DAV_SPACE, name


def caldav(name: str) -> Name:
    return CALDAV_SPACE, name


def calendar_server(name: str) -> Name:
    return CALENDAR_SERVER_SPACE, name


def apple(name: str) -> Name:
    return APPLE_SPACE, name


# The properties that are written anew for each object.
ETAG_PROPERTY, TYPE_PROPERTY, DATA_PROPERTY = dav("getetag"), dav("getcontenttype"), caldav("calendar-data")
RESOURCE_TYPE, DISPLAY_NAME = dav("resourcetype"), dav("displayname")
COLOR_PROPERTY, COMPONENTS_PROPERTY = apple("calendar-color"), caldav("supported-calendar-component-set")
