"""Errors of the state of the service."""

from app.errors.kinds import StorageFull, Unavailable


class SchemaMismatch(Unavailable):
    code, message = "schema_mismatch", "The database schema is not the one this version needs: run 'todo migrate'."


class TemporarySpaceFull(StorageFull):
    message = "The service has no space left for the file that was sent."


class TemporaryFilesRefused(Unavailable):
    code = "temporary_files_refused"
    message = "The service cannot keep the file that was sent while it is read: its operator finds why in the log."
