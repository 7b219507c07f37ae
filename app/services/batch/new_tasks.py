"""New tasks of a batch that follow each other: checked one by one, and inserted by one statement."""

from app.db.session import Session
from app.errors import locate_error
from app.models.tasks import TaskCreate
from app.services.batch.operations import Done
from app.services.tasks.creation import insert_tasks, place_new_task, prepare_task
from app.services.tasks.statements import Row
from app.services.uids import find_by_uid, taken_error


class NewTasks:
    """Tasks that have been checked and not inserted yet. Nothing else is written in between, so places stay valid."""

    def __init__(self, session: Session, owner: str) -> None:
        self._session, self._owner = session, owner
        self._prepared: dict[str, tuple[Row, Row]] = {}
        self._places: dict[object, Row] = {}

    def concern(self, task: TaskCreate) -> bool:
        """Returns whether one of them has the uid of ``task`` or is its parent."""
        return task.uid in self._prepared or task.parent_uid in self._prepared

    async def add(self, task: TaskCreate) -> None:
        """Checks a task. Raises what ``create_task`` raises, except for a uid that is taken."""
        named = task.project_id, task.project_uid, task.parent_id, task.parent_uid
        if named not in self._places:
            self._places[named] = await place_new_task(self._session, self._owner, task)
        values, more = await prepare_task(self._session, self._owner, task, self._places[named])
        self._prepared[values["uid"]] = values, more

    async def insert(self, *, first: int) -> list[Done]:
        """Inserts them; the operation with the number ``first`` creates the first one. Raises UidTaken, UidInTrash."""
        prepared, self._prepared, self._places = self._prepared, {}, {}
        if not prepared:
            return []
        made = await insert_tasks(self._session, self._owner, list(prepared.values()))
        for number, uid in enumerate(prepared, start=first):
            if uid not in made:
                found = await find_by_uid(self._session, self._owner, "task", uid)
                raise locate_error(taken_error("task", found), number)
        return [Done(201, made[uid]) for uid in prepared]
