"""``/api/{user_id}/export`` and ``/import``."""

from functools import partial
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Depends, Query, Request, Response, Security

from app.clock import now
from app.errors import EXPORT_FORMAT
from app.http.connection import require_client
from app.http.dependencies import Owner, bearer, limited
from app.http.responses import Json, header, revision_header
from app.http.routing import DirectRoute
from app.http.streamed_file import StreamedFile
from app.http.uploads import declared_format, spool_body
from app.jobs.exporting import Export
from app.jobs.importing import Import
from app.schemas.transfer import ExportFormat, ExportQuery, ImportQuery, ImportReport
from app.services.transfer.formats.detect import open_rows
from app.services.transfer.formats.file_context import FileContext, RowBudget
from app.services.transfer.import_lease import ImportLease
from app.services.transfer.row_validation import RowReader

router = APIRouter(prefix="/api/{user_id}", tags=["transfer"], route_class=DirectRoute, dependencies=[Security(bearer)])
EXPORT_MEDIA_TYPES = {
    ExportFormat.JSON: "application/json",
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.ICS: "text/calendar",
    ExportFormat.TXT: "text/plain; charset=utf-8",
    ExportFormat.TODOIST: "text/csv; charset=utf-8",
    ExportFormat.ZIP: "application/zip",
}
EXPORT_NAMES = {ExportFormat.TODOIST: "todoist.csv"}
BINARY_SCHEMA = {"schema": {"type": "string", "format": "binary"}}
TEXT_SCHEMA = {"schema": {"type": "string"}}
EXPORT_RESPONSE: dict[str, Any] = {
    "description": "The file.",
    "content": {
        "application/json": {"schema": {"type": "object"}},
        "text/csv": TEXT_SCHEMA,
        "text/calendar": TEXT_SCHEMA,
        "text/plain": TEXT_SCHEMA,
        "application/zip": BINARY_SCHEMA,
    },
    "headers": header("Content-Disposition", "`attachment`, with a file name."),
}
IMPORT_BODY: dict[str, Any] = {
    "required": True,
    "content": {
        "application/json": {
            "schema": {
                "type": "object",
                "required": ["format"],
                "properties": {"format": {"type": "string", "const": EXPORT_FORMAT}},
                "additionalProperties": True,  # of an export: each entity under its name
            },
            "example": {"format": EXPORT_FORMAT, "user_id": "alice", "tasks": [{"id": 7, "title": "Buy milk"}]},
        },
        "text/csv": {"schema": {"type": "string"}, "example": "title,due_date,tags\r\nBuy milk,2026-12-01,errands\r\n"},
        "text/calendar": TEXT_SCHEMA,
        "text/plain": TEXT_SCHEMA,
        "application/zip": BINARY_SCHEMA,
        "application/octet-stream": BINARY_SCHEMA,
    },
}


@router.get(
    "/export",
    status_code=200,
    response_class=Response,
    responses={200: EXPORT_RESPONSE},
    dependencies=[Depends(limited("export"))],
)
async def export_tasks(request: Request, owner: Owner, query: Annotated[ExportQuery, Query()]) -> Response:
    """Exports all data as a file: `json` can be imported again without loss, the others hold tasks, `zip` all files.

    It is read page by page, by id. Concurrent writes may be in it or not; `/changes` since its `revision` has them.
    """
    export = Export(request.app.state.database, owner)
    stream = {
        ExportFormat.JSON: export.as_json, ExportFormat.CSV: export.as_csv, ExportFormat.ICS: export.as_ics,
        ExportFormat.TXT: export.as_txt, ExportFormat.TODOIST: export.as_todoist, ExportFormat.ZIP: export.as_zip,
    }[query.format]  # fmt: skip
    name = EXPORT_NAMES.get(query.format, f"todo.{query.format}")
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "X-Accel-Buffering": "no"}
    return StreamedFile(stream(), media_type=EXPORT_MEDIA_TYPES[query.format], headers=headers)


@router.post(
    "/import",
    response_model=ImportReport,
    responses={409: {"description": "An import of this user is still running."}},
    openapi_extra={"requestBody": IMPORT_BODY},
    dependencies=[Depends(limited("import"))],
)
async def import_tasks(request: Request, owner: Owner, query: Annotated[ImportQuery, Query()]) -> Response:
    """Imports a file of this service or of another product, which is recognized by its content.

    That is JSON or CSV of this service, iCalendar (also of Apple Reminders), todo.txt, and files of Todoist, TickTick,
    Microsoft To Do, Outlook, Google Tasks, Vikunja, Trello, Super Productivity and Taskwarrior, each also in a zip.

    Rows that are not acceptable are reported, the others imported; a row that was imported before is not changed.
    `dry_run=true` only reports. Each 1,000 rows are one change. A user's imports run one at a time: else 409. An
    `Idempotency-Key` is not needed.
    """
    settings, database = request.app.state.settings, request.app.state.database
    declared, moment = declared_format(request), now()
    zone = ZoneInfo((await Export(database, owner).head()).timezone)
    budget = RowBudget(settings.import_rows_max)
    context = FileContext(owner, moment, zone, settings.description_max, budget)
    reader = RowReader(description_max=settings.description_max, timezone=zone, now=moment)
    async with (
        spool_body(request, settings.import_limit) as file,
        ImportLease(database, owner) as lease,  # after the upload, whose duration is not limited
        open_rows(file, declared, context, settings.import_limit) as found,
    ):
        name, rows = found
        job = Import(
            database, owner, reader, dry_run=query.dry_run, check=partial(require_client, request), lease=lease
        )
        await job.run(rows)
    return Json(job.report(name), headers=revision_header(job.written))
