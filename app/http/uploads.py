"""Uploaded files: written to disk as they arrive, so that a large file costs no memory."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import IO

from starlette.requests import Request

from app.errors import BodyTooLarge, IdempotencyKeyInvalid, UnsupportedMediaType
from app.http.body import check_content_length
from app.http.idempotency import KEY_PATTERN
from app.services.transfer.temporary_files import refusals_named, temporary_file

THREAD_WRITE_BYTES = 1_048_576
UPLOAD_CHARSETS = {"", "utf-8", "utf8", "utf-16", "utf-16le", "utf-16be"}  # UTF-16 needs its mark
DECLARED_FORMATS = {
    "application/json": "json",
    "text/csv": "csv",
    "text/calendar": "ics",
    "text/plain": "text",
}  # of media types; any other declares nothing


@asynccontextmanager
async def spool_body(request: Request, limit: int) -> AsyncIterator[IO[bytes]]:
    """Provides the body as a file.

    Raises BodyTooLarge past ``limit`` bytes, TemporarySpaceFull and TemporaryFilesRefused.
    """
    check_content_length(request, limit)
    with temporary_file() as file:
        size = 0
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise BodyTooLarge
            with refusals_named():
                await asyncio.to_thread(file.write, chunk) if len(chunk) > THREAD_WRITE_BYTES else file.write(chunk)
        with refusals_named():
            file.flush()
            file.seek(0)
        yield file


def declared_format(request: Request) -> str:
    """Returns json, csv, ics or text, empty if the media type is another one: the content decides.

    Raises UnsupportedMediaType, and IdempotencyKeyInvalid for an invalid key.
    """
    if (key := request.headers.get("idempotency-key")) is not None and KEY_PATTERN.fullmatch(key) is None:
        raise IdempotencyKeyInvalid(loc=("header", "Idempotency-Key"))
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    media_type = media_type.strip().lower()
    charset = parameters.lower().partition("charset=")[2].partition(";")[0].strip(' "')
    if media_type.startswith("multipart/"):
        raise UnsupportedMediaType("Send the file as the body, without a form: curl --data-binary @file.")
    if charset not in UPLOAD_CHARSETS:
        raise UnsupportedMediaType("Send the file in UTF-8, or in UTF-16 with its mark.")
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the file without Content-Encoding: compressed bodies are not read.")
    return DECLARED_FORMATS.get(media_type, "")
