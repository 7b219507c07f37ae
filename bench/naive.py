"""The limit with the statements that a naive service would issue: one each, without isolation and change rows."""

from typing import Any

from app.models.task_rows import TASK_READ_COLUMNS
from bench.limit import Limit
from bench.statements import CREATE_ONE_TASK, GET_TASK, LIST_TASKS, TOGGLE_TASK, Statement

TASK_COLUMN_NAMES = ", ".join(TASK_READ_COLUMNS)
NAIVE_STATEMENTS: dict[Statement, tuple[str, tuple[str, ...]]] = {
    GET_TASK: (
        f"select {TASK_COLUMN_NAMES} from tasks where user_id = $1 and id = $2 and deleted_at is null",
        ("owner", "task_id"),
    ),
    LIST_TASKS: (
        f"""select {TASK_COLUMN_NAMES}, created_at, 0 from tasks where user_id = $1 and deleted_at is null
            order by created_at desc, id desc limit $2""",
        ("owner", "limit"),
    ),
    CREATE_ONE_TASK: (
        f"""insert into tasks (user_id, uid, title, description, completed, priority, due_on, tags, version)
            values ($1, $2, $3, $4, $5, $6, $7, $8, 1) returning {TASK_COLUMN_NAMES}""",
        ("owner", "uid", "title", "description", "completed", "priority", "due_on", "tags"),
    ),
    TOGGLE_TASK: (
        f"""update tasks set completed = not completed, completed_at = case when completed then null else now() end,
            version = version + 1, updated_at = now() where user_id = $1 and id = $2 returning {TASK_COLUMN_NAMES}""",
        ("owner", "task_id"),
    ),
}


class Naive(Limit):
    """The same application, without transactions."""

    async def _run(self, begin: str, owner: str, statement: Statement, arguments: list[Any]) -> Any:
        sql, names = NAIVE_STATEMENTS[statement]
        values = dict(zip(statement.names, arguments, strict=True))
        async with self.gate, self.pool.acquire() as connection:
            return await connection.fetch(sql, *(values[name] for name in names))
