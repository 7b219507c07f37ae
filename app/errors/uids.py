"""Errors of the ids that clients choose."""

from app.errors.kinds import Conflict, Invalid


class UidTaken(Conflict):
    """``entity`` and ``ids``, as its path has them, are those of the row that has the uid."""

    code, message = "uid_taken", "There is one with this uid already: the header Location names it."

    def __init__(self, entity: str, *ids: int) -> None:
        self.entity, self.ids = entity, ids
        super().__init__()


class UidInTrash(Conflict):
    code, message = "in_trash", "One with this uid is in the trash: restore it, or empty the trash."


class OtherUid(Invalid):
    code, message = "other_uid", "A uid never changes: send that of the row, or none."
