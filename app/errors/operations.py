"""Errors of the state of the service."""

from app.errors.kinds import Unavailable


class SchemaMismatch(Unavailable):
    code, message = "schema_mismatch", "The database schema is not the one this version needs: run 'todo migrate'."
