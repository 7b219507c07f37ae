"""Errors of the ids that clients choose."""

from app.errors.kinds import AppError, Conflict, ErrorKind, Invalid


class UidTaken(Conflict):
    """``entity`` and ``ids``, as its path has them, are those of the row that has the uid."""

    code, message = "uid_taken", "There is one with this uid already: the header Location names it."

    def __init__(self, *ids: int, entity: str = "", retry_after: int | None = None) -> None:
        self.entity, self.ids = entity, ids
        detail = f"There is a {entity} with this uid already: {ids[-1]}." if ids else None
        super().__init__(detail, retry_after=retry_after)


class UidInTrash(Conflict):
    code, message = "in_trash", "One with this uid is in the trash: restore it, or empty the trash."


class OtherUid(Invalid):
    code, message = "other_uid", "A uid never changes: send that of the row, or none."


class IdsContradict(Invalid):
    code, message = "ids_contradict", "The id and the uid are not those of one row: send one of them."


class FieldNeeded(Invalid):
    code, message = "field_needed", "There is none with this uid yet, and a new one needs this field."


class AlreadyExists(AppError):
    kind, code = ErrorKind.STALE, "already_exists"
    message = "It exists already, and a PUT with If-None-Match: * only creates."


class DoesNotExist(AppError):
    kind, code = ErrorKind.STALE, "does_not_exist"
    message = "There is none with this uid, and a PUT with If-Match or base_version only changes."
