"""The fields of each kind of channel: what it needs, what it may have, and which of it is secret."""

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from app.errors import ChannelFieldNeeded, ChannelFieldRefused, QuietHoursIncomplete, SubscriptionInvalid
from app.models.channels import ChannelKind
from app.net.outbound import check_url
from app.net.outbound_policy import OutboundPolicy
from app.net.web_push import origin_of, read_public_key
from app.schemas.channels import TOPIC_PATTERN

Fields = dict[str, Any]
SECRET_FIELDS = ("token", "urls", "subscription")
ADDRESS_FIELDS = ("url", "topic", *SECRET_FIELDS)
DEFAULT_NTFY_URL = "https://ntfy.sh"
SWITCHED_OFF = "Switched off."
NO_SECRETS = "It comes from a file, which holds no secrets: set them."


class KindFields(NamedTuple):
    """The ADDRESS_FIELDS of a kind of channel, and the name of one that gets none."""

    default_name: str
    needed: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()


KIND_FIELDS = {
    ChannelKind.WEBPUSH: KindFields("Browser", frozenset({"subscription"}), frozenset({"url"})),
    ChannelKind.NTFY: KindFields("ntfy", frozenset({"url", "topic"}), frozenset({"token"})),
    ChannelKind.GOTIFY: KindFields("Gotify", frozenset({"url", "token"})),
    ChannelKind.APPRISE: KindFields("Apprise", frozenset({"url"}), frozenset({"urls"})),
    ChannelKind.MAIL: KindFields("Mail"),
}


def complete_fields(kind: str, fields: Fields, policy: OutboundPolicy) -> Fields:
    """Returns the fields of a channel, those that follow from others included.

    Raises ChannelFieldNeeded, ChannelFieldRefused, QuietHoursIncomplete, SubscriptionInvalid, UrlRefused.
    """
    fields = dict(fields)
    if kind == ChannelKind.NTFY:
        fields |= _split_topic(fields.get("url") or DEFAULT_NTFY_URL, fields.get("topic"))
    elif kind == ChannelKind.GOTIFY and fields.get("url"):
        fields["url"] = fields["url"].rstrip("/")
    require_known_fields(kind, fields, KIND_FIELDS[ChannelKind(kind)].needed)
    require_quiet_hours(fields)
    if kind == ChannelKind.WEBPUSH:
        fields["url"] = _require_subscription(fields, policy)
    elif fields.get("url") is not None:
        check_url(fields["url"], policy)
    return fields


def require_known_fields(kind: str, fields: Mapping[str, Any], needed: frozenset[str]) -> None:
    """Raises ChannelFieldNeeded for one of ``needed`` without a value, ChannelFieldRefused for one of other kinds."""
    known = KIND_FIELDS[ChannelKind(kind)]
    for name in ADDRESS_FIELDS:
        if fields.get(name) is None and name in needed:
            raise ChannelFieldNeeded(loc=("body", name))
        if fields.get(name) is not None and name not in known.needed | known.optional:
            raise ChannelFieldRefused(loc=("body", name))


def require_quiet_hours(fields: Mapping[str, Any]) -> None:
    """Raises QuietHoursIncomplete unless they have both ends, or none."""
    begin, end = fields.get("quiet_from"), fields.get("quiet_to")
    if (begin != end and None not in (begin, end)) or begin is end is None:
        return
    raise QuietHoursIncomplete(loc=("body", "quiet_from" if end is None else "quiet_to"))


def _split_topic(url: str, topic: str | None) -> Fields:
    """Returns the server and the topic of a URL as ntfy shows it, ``https://ntfy.sh/topic``."""
    url = url.rstrip("/")
    server, _, last = url.rpartition("/")
    if topic is None and server.count("/") == 2 and re.fullmatch(TOPIC_PATTERN, last):
        return {"url": server, "topic": last}
    return {"url": url, "topic": topic}


def _require_subscription(fields: Fields, policy: OutboundPolicy) -> str:
    """Returns the origin of the push service: the rest of its URL is what opens the subscription."""
    subscription = fields["subscription"]
    check_url(subscription["endpoint"], policy, loc=("body", "subscription", "endpoint"))
    keys = subscription["keys"]
    try:
        read_public_key(keys["p256dh"])
    except ValueError:
        raise SubscriptionInvalid(loc=("body", "subscription", "keys", "p256dh")) from None
    origin = origin_of(subscription["endpoint"])
    if fields.get("url") not in (None, origin):
        raise ChannelFieldRefused("The URL of a browser's channel follows from its subscription.", loc=("body", "url"))
    return origin
