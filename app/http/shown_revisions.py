"""Revisions that clients show. One above the owner's is from before the database was restored from a backup.

Looked at only where a response is not what the client expected: it costs no other request anything.
"""

import re

from starlette.requests import Request

from app.errors import AppError, ErrorKind
from app.jobs.owner_epochs import begin_owner_epoch
from app.models.types import MAX_ID
from app.pagination import revision_of_cursor

# An ETag of an entity is its version, and that of a list begins with the revision.
_TAG_REVISION = re.compile(r'"([0-9]{1,19})(?:-[0-9a-f]+)?"')
# The request may have named what to continue from, or what to write: it is gone, stale, or not there.
TELLING_KINDS = {ErrorKind.GONE, ErrorKind.STALE, ErrorKind.NOT_FOUND}
SHOWN_REVISION = "shown_revision"  # in a request's scope, with the owner


def note_tags(request: Request, owner: str, if_none_match: str | None, *, known: int) -> None:
    """Notes the revision in ``if_none_match`` if it is above ``known``, one that the owner has."""
    if (shown := revision_in_tags(if_none_match)) > known:
        request.scope[SHOWN_REVISION] = owner, shown


def note_failure(request: Request, owner: str, error: AppError) -> None:
    """Notes the highest revision that a failed request shows."""
    if error.kind in TELLING_KINDS and (shown := shown_revision(request)) > getattr(error, "version", 0):
        request.scope[SHOWN_REVISION] = owner, shown


async def follow_up(request: Request) -> None:
    """Begins a new epoch of the owner if a noted revision is above the owner's. Called when no transaction is open."""
    owner, shown = request.scope[SHOWN_REVISION]
    if shown <= MAX_ID:
        await begin_owner_epoch(request.app.state.database, owner, shown)


def shown_revision(request: Request) -> int:
    """Returns the highest revision in the request; 0 for none."""
    headers, query = request.headers, request.query_params
    numbers = headers.get("last-event-id"), query.get("since")
    return max(
        revision_in_tags(headers.get("if-match")),
        revision_of_cursor(query.get("cursor", "")),
        *(int(text) for text in numbers if text and text.isascii() and text.isdigit() and len(text) <= 19),
        0,
    )


def revision_in_tags(header: str | None) -> int:
    """Returns the highest revision in the entity tags of ``header``; 0 for none."""
    return max((int(digits) for digits in _TAG_REVISION.findall(header or "")), default=0)
