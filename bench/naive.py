"""The limit with the statements that a naive service would issue: one each, without isolation and change rows."""

from typing import Any

from app.models.task_rows import TASK_READ_COLUMNS
from bench.limit import Limit
from bench.statements import CREATE, GET, LIST, TOGGLE, Statement

READ = ", ".join(TASK_READ_COLUMNS)
SQL: dict[Statement, tuple[str, tuple[str, ...]]] = {
    GET: (
        f"select {READ} from tasks where user_id = $1 and id = $2 and deleted_at is null",
        ("owner", "task_id"),
    ),
    LIST: (
        f"""select {READ}, created_at, 0 from tasks where user_id = $1 and deleted_at is null
            order by created_at desc, id desc limit $2""",
        ("owner", "limit"),
    ),
    CREATE: (
        f"""insert into tasks (user_id, title, description, completed, priority, due_on, tags, version)
            values ($1, $2, $3, $4, $5, $6, $7, 1) returning {READ}""",
        ("owner", "title", "description", "completed", "priority", "due_on", "tags"),
    ),
    TOGGLE: (
        f"""update tasks set completed = not completed, completed_at = case when completed then null else now() end,
            version = version + 1, updated_at = now() where user_id = $1 and id = $2 returning {READ}""",
        ("owner", "task_id"),
    ),
}


class Naive(Limit):
    """The same application, without transactions."""

    async def _run(self, begin: str, owner: str, statement: Statement, arguments: list[Any]) -> Any:
        sql, names = SQL[statement]
        values = dict(zip(statement.names, arguments, strict=True))
        async with self.gate, self.pool.acquire() as connection:
            return await connection.fetch(sql, *(values[name] for name in names))
