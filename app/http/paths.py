"""The paths and URLs in responses: percent-encoded, and below the prefix at which a proxy serves this service.

The only module that makes them (``tests/rules/test_paths.py``): a path that is written elsewhere leaves the prefix.
"""

from functools import lru_cache
from urllib.parse import quote, urlsplit

from fastapi import Request
from starlette.types import Scope

from app.config import Settings


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


def well_known_url(request: Request, name: str, path: str) -> str:
    """Returns the URL of the metadata ``name`` about ``path``: at the root of the host, whatever the prefix (RFC 8615).

    The path that it is about follows the name (RFC 9728, 3.1, and RFC 8414, 3.1).
    """
    about = urlsplit(url_of(request, path))
    return f"{about.scheme}://{about.netloc}{name}{about.path}"


def owner_url(request: Request, owner: str, path: str) -> str:
    """Returns the URL of ``path`` of one user, for programs that do not send that user's token."""
    return url_of(request, f"/api/{quote(owner, safe='')}{path}")
