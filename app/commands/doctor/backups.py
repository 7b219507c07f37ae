"""``todo doctor``: the dumps that the worker writes into BACKUP_DIR."""

import asyncpg

from app.clock import now
from app.commands.doctor.finding import Finding
from app.config import Settings
from app.db.backup.dump import dump_access
from app.db.backup.folder import BackupFolder
from app.db.connection_options import ConnectOptions
from app.db.epoch import read_installation
from app.db.unlimited import unlimited_connection
from app.jobs.backups import latest_time
from app.observability.startup_errors import describe_failure

PATIENCE_HOURS = 2  # in which a dump that is due should have been written


async def check_scheduled_dumps(settings: Settings, options: ConnectOptions) -> list[Finding]:
    """Checks when the latest dump was written. Nothing is found without BACKUP_DIR."""
    if settings.backup_dir is None:
        return []
    try:
        async with unlimited_connection(dump_access(settings, options)[0]) as connection:
            folder = BackupFolder(settings.backup_dir, await read_installation(connection))
        folder.check()
        dumps = folder.dumps()
    except (ValueError, OSError, TimeoutError, asyncpg.PostgresError) as error:
        return [Finding("dumps", False, describe_failure(error))]
    remedy = "does a worker run, with BACKUP_DIR? Its log says why a dump failed"
    if not dumps:
        return [Finding("dumps", False, f"{settings.backup_dir} has none of this database yet: {remedy}")]
    latest, moment = dumps[-1], now()
    hours = (moment - latest.written_at).total_seconds() / 3600
    text = f"the latest of {len(dumps)} is {hours:.1f} hours old: {latest.file}"
    due = latest_time(settings.backup_times, moment)
    late = latest.written_at < due and (moment - due).total_seconds() > PATIENCE_HOURS * 3600
    return [Finding("dumps", not late, f"{text}; {remedy}" if late else text)]
