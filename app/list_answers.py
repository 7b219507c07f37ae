"""What every list answers beside its rows: the number it shows, and a tag that makes asking again cheap."""

from fastapi import Request, Response

from app.deps import ReadSession
from app.etags import is_unchanged, list_etag
from app.responses import NOT_CACHED_ELSEWHERE, header
from app.services import users

LIST_TAGS = header("ETag", "The revision and the query: send it back in If-None-Match.") | header(
    "X-Revision", "The number of the latest write this list shows.", "integer"
)


def etag_of_list(request: Request, revision: int, owner: str) -> str:
    return list_etag(revision, owner, request.scope["query_string"], request.app.state.settings.list_shape)


async def unchanged_list(
    request: Request, session: ReadSession, owner: str, if_none_match: str | None
) -> Response | None:
    """304 for the price of one key look-up; None when the list must be read."""
    if if_none_match is None:
        return None
    revision = await users.get_revision(session, owner)
    if not is_unchanged(if_none_match, etag := etag_of_list(request, revision, owner)):
        return None
    return Response(status_code=304, headers=list_headers(revision, etag))


def list_headers(revision: int, etag: str | None) -> dict[str, str]:
    """Without an ETag the list may change while nothing is written."""
    headers = {"X-Revision": str(revision)}
    if etag is not None:
        headers |= {"ETag": etag, "Cache-Control": NOT_CACHED_ELSEWHERE}
    return headers
