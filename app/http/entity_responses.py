"""Responses with one entity: its version, its location, and 304 for a client that has the version."""

from typing import Any

from fastapi import Request, Response

from app.http.etags import entity_etag, is_unchanged
from app.http.paths import item_path, row_path
from app.http.responses import PRIVATE_NO_CACHE, Json, header

# For the document.
VERSION_HEADER = header("ETag", "The version: send it back in If-Match or If-None-Match.")
ENTITY_RESPONSE: dict[str, Any] = {"headers": VERSION_HEADER}
ENTITY_UNCHANGED: dict[str, Any] = {
    "description": "Nothing has changed since the ETag sent.",
    "headers": VERSION_HEADER,
}
MERGE_REFUSALS: dict[int | str, dict[str, Any]] = {
    409: {"description": "Another write has changed the same fields since `base_version`: see `conflicts`."},
    410: {"description": "`base_version` is from before a restore."},
}


def merge_refusals(conflict: str) -> dict[int | str, dict[str, Any]]:
    """Returns MERGE_REFUSALS with one more reason for a 409."""
    return {**MERGE_REFUSALS, 409: {"description": f"{MERGE_REFUSALS[409]['description']} Or: {conflict}"}}


def location_header(noun: str) -> dict[str, Any]:
    return header("Location", f"Where the {noun} is.")


def version_headers(entity: Any, **more: str) -> dict[str, str]:
    return {"ETag": entity_etag(entity.version), "Cache-Control": PRIVATE_NO_CACHE, **more}


def entity_response(entity: Any) -> Response:
    return Json(entity, headers=version_headers(entity))


def created_response(request: Request, entity: Any) -> Response:
    return Json(entity, 201, version_headers(entity, Location=item_path(request, entity.id)))


def put_response(request: Request, noun: str, entity: Any, *, created: bool) -> Response:
    """Returns what a PUT changed, or 201 with the path of what it created, which names it by its id."""
    if not created:
        return entity_response(entity)
    return Json(entity, 201, version_headers(entity, Location=row_path(request, noun, (entity.id,))))


def conditional_response(entity: Any, if_none_match: str | None) -> Response:
    """Returns the entity, or 304 when ``if_none_match`` names its version."""
    if is_unchanged(if_none_match, entity_etag(entity.version)):
        return Response(status_code=304, headers=version_headers(entity))
    return entity_response(entity)
