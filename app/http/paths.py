"""The paths and URLs in responses: percent-encoded, and below the prefix at which a proxy serves this service.

The only module that makes them (``tests/rules/test_paths.py``): a path that is written elsewhere leaves the prefix.
"""

from collections.abc import Container
from functools import lru_cache
from urllib.parse import quote, unquote, urlencode, urlsplit

from fastapi import Request
from starlette.types import Scope

from app.auth.passkeys import RelyingParty
from app.config import Settings
from app.domain.oauth import split_url
from app.net.addresses import is_ip_address

MCP_PATH = "/mcp"  # also a resource of its own, for tokens that open nothing else
PATHS_FOR_APPS = frozenset({"/oauth/token", "/oauth/register", "/oauth/revoke"})
METADATA_PREFIX = "/.well-known/oauth-"


def prefix_of(scope: Scope) -> str:
    """Returns the prefix, without a slash at its end; empty if the service is at the root of its host."""
    prefix: str = scope.get("root_path", "")
    return prefix.rstrip("/") if prefix else prefix


def path_of(request: Request, path: str) -> str:
    """Returns the path at which clients find ``path`` of this service."""
    return prefix_of(request.scope) + path


def request_path(request: Request) -> str:
    """Returns the path of the request, by its route, so that what the client sent as ``me`` stays ``me``."""
    scope = request.scope
    return prefix_of(scope) + _fill_in(scope["route"].path, tuple(scope["path_params"].items()))


@lru_cache(4096)  # a page of a list costs 3 us less
def _fill_in(template: str, parameters: tuple[tuple[str, str], ...]) -> str:
    path = template
    for name, value in parameters:
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


# Below a user's path, with the ids of a UidTaken.
ROW_PATHS = {
    "task": "/tasks/{}",
    "project": "/projects/{}",
    "comment": "/tasks/{}/comments/{}",
    "view": "/views/{}",
}


def row_path(request: Request, entity: str, ids: tuple[int, ...]) -> str:
    """Returns the path of a row of the user that the request names."""
    owner = quote(request.path_params["user_id"], safe="")
    return path_of(request, f"/api/{owner}{ROW_PATHS[entity].format(*ids)}")


SNAPSHOT_EXAMPLE = "/api/{user_id}/changes?snapshot=true"  # for the document


def snapshot_path(request: Request) -> str:
    """Returns the path of the first page of a snapshot of the user that the request names, or of the token's."""
    owner = quote(request.path_params.get("user_id", "me"), safe="")
    return path_of(request, f"/api/{owner}/changes?snapshot=true")


def item_path(request: Request, item_id: int) -> str:
    """Returns the path of an item of the collection that the request names, also by an action such as ``/quick``."""
    return f"{request_path(request).removesuffix('/quick')}/{item_id}"


def url_of(request: Request, path: str) -> str:
    """Returns the URL of ``path`` for other programs: below PUBLIC_URL, else below the URL of the request."""
    settings: Settings = request.app.state.settings
    if settings.public_base:
        return settings.public_base + path
    return f"{request.url.scheme}://{request.url.netloc}{path_of(request, path)}"


def names_resource(request: Request, audience: str, path: str) -> bool:
    """Returns whether a token for ``audience`` is for the whole service, or for ``path`` of it (RFC 8707).

    Not where a header decides about it: with /mcp as X-Forwarded-Prefix a token for /mcp would be one for everything.
    """
    return not has_sent_prefix(request) and audience in {url_of(request, ""), url_of(request, path)}


def has_sent_prefix(request: Request) -> bool:
    """Returns whether the prefix is what X-Forwarded-Prefix says, because PUBLIC_URL does not name one."""
    settings: Settings = request.app.state.settings
    return bool(prefix_of(request.scope)) and not settings.public_base


def is_for_apps(path: str) -> bool:
    """Returns whether ``path``, without a prefix, is for every app that connects, without credentials of a browser."""
    return path in PATHS_FOR_APPS or path.startswith(METADATA_PREFIX)


def redirect_url(uri: str, parameters: dict[str, str]) -> str:
    """Returns the URL of another program, which it has registered, with ``parameters`` added to its query."""
    if not parameters:
        return uri
    return f"{uri}{'&' if '?' in uri else '?'}{urlencode(parameters)}"


def well_known_url(request: Request, name: str, path: str) -> str:
    """Returns the URL of the metadata ``name`` about ``path``: at the root of the host, whatever the prefix (RFC 8615).

    The path that it is about follows the name (RFC 9728, 3.1, and RFC 8414, 3.1).
    """
    about = urlsplit(url_of(request, path))
    return f"{about.scheme}://{about.netloc}{name}{about.path}"


def home_path(request: Request) -> str:
    """Returns the page for people, without the prefix."""
    return "/app" if request.app.state.settings.web_client else "/"


def start_path(request: Request, provider_id: str) -> str:
    """Returns the path at which a browser begins to sign in with a provider."""
    return path_of(request, f"/api/auth/oidc/{provider_id}/start")


def callback_url(request: Request, provider_id: str) -> str:
    """Returns the redirect URI that this service has at a sign-in provider."""
    return url_of(request, f"/api/auth/oidc/{provider_id}/callback")


def owner_url(request: Request, owner: str, path: str) -> str:
    """Returns the URL of ``path`` of one user, for programs that do not send that user's token."""
    return url_of(request, f"/api/{quote(owner, safe='')}{path}")


DAV_ROOT = "/dav"
DAV_WELL_KNOWN = "/.well-known/caldav"
NAME_CHARACTERS = "!$&'()*+,;=:@~"  # that a segment of a path may have as they are (RFC 3986, 3.3)


def dav_path(request: Request, *names: str, is_object: bool = False) -> str:
    """Returns the path of a user's collections, of one of them, or of an object in it. Collections end in a slash."""
    segments = (quote(name, safe="" if place == 0 else NAME_CHARACTERS) for place, name in enumerate(names))
    return path_of(request, "/".join([DAV_ROOT, *segments]) + ("" if is_object else "/"))


def sent_path(request: Request, *, is_object: bool = False) -> str:
    """Returns the path as the client has sent it, which hrefs must begin with; that of a collection with a slash."""
    path: str = (request.scope.get("raw_path") or request.scope["path"].encode()).decode("latin-1")
    path = path.partition("?")[0]
    return path if is_object or path.endswith("/") else f"{path}/"


def member_path(base: str, name: str, *, is_object: bool = True) -> str:
    """Returns the path of a member of the collection at ``base``."""
    return f"{base}{quote(name, safe=NAME_CHARACTERS)}{'' if is_object else '/'}"


def member_name(base: str, href: str) -> str | None:
    """Returns the name of a member of the collection at ``base``; None if ``href`` does not begin like that."""
    if not href.startswith(base):
        return None
    name = href[len(base) :]
    return unquote(name) if "%" in name else name


def split_dav_url(request: Request, url: str) -> list[str] | None:
    """Returns the names in the path of a URL, or a path, below the root of calendars: of a user, and so on.

    None: it does not lead there.
    """
    try:
        parts = urlsplit(url.strip())
    except ValueError:
        return None
    path = parts.path.removeprefix(prefix_of(request.scope))
    if not path.startswith(f"{DAV_ROOT}/"):
        return None
    return [unquote(segment) for segment in path.removeprefix(f"{DAV_ROOT}/").rstrip("/").split("/")]


def well_known_path(request: Request) -> str:
    """Returns where the well-known path of calendars leads: below the prefix, also where it is asked without one."""
    return urlsplit(url_of(request, f"{DAV_ROOT}/")).path


def passkey_options_path(request: Request, waiting: Container[str]) -> str:
    """Returns the path at which a page asks for the options of a passkey, by the fields that name what waits for it."""
    if "challenge" in waiting:
        return path_of(request, "/api/auth/login/factor/options")
    return path_of(request, f"/api/auth/{'factors/proof' if 'access_token' in waiting else 'login/passkey'}/options")


def find_relying_party(request: Request) -> RelyingParty | None:
    """Returns the domain and origin of PUBLIC_URL, or of localhost; None where browsers have no passkeys.

    They need a name, not an IP address, and https but on the own machine. Without PUBLIC_URL a Host is not believed.
    """
    public: str = request.app.state.settings.public_origin
    origin = (public or f"{request.url.scheme}://{request.url.netloc}").lower()
    parts = split_url(origin)
    host = (parts.hostname if parts else None) or ""
    if parts is None or not host or is_ip_address(host):
        return None
    if host != "localhost" and not (public and parts.scheme == "https"):
        return None
    return RelyingParty(host, origin)
