"""The tools that do more to a task than change its fields."""

from typing import Any

from pydantic import BaseModel, Field, model_validator

from app.assistant.tools.tasks import Done, TaskId, done
from app.assistant.tools.tool import Call, Id, Tool
from app.models.task_fields import DueDate
from app.models.types import Shape
from app.schemas.quick_add import QuickTask, QuickText
from app.schemas.task_actions import TaskMove, one_place
from app.services.quick_add import quick_add_task
from app.services.tasks import create_update


class QuickAdd(Shape):
    text: QuickText


class MoveTask(TaskMove):
    task_id: Id

    @model_validator(mode="after")
    def _one_place(self) -> "MoveTask":
        one_place(self.model_fields_set - {"task_id"})
        return self

    @property
    def move(self) -> TaskMove:
        names = self.model_fields_set - {"task_id"}
        return TaskMove.model_construct(names, **{name: getattr(self, name) for name in names})


class Read(BaseModel):
    """A piece of the text, and what it was read as."""

    text: str
    field: str
    value: str


class QuickDone(Done):
    understood: list[Read]


class Skipped(Done):
    due_date: DueDate | None = Field(description="The next date. A series that was at its last one is completed.")


async def quick_add(call: Call) -> Any:
    wanted = QuickTask(text=call.arguments.text)
    added = await quick_add_task(call.session, call.owner, wanted)
    pieces = [{name: span[name] for name in Read.model_fields} for span in added["understood"]]
    return {**done(added["task"], "created"), "understood": pieces}


async def move_task(call: Call) -> Any:
    moved = await create_update.move_task(call.session, call.owner, call.arguments.task_id, call.arguments.move)
    return done(moved, "moved")


async def skip_task(call: Call) -> Any:
    task = await create_update.skip_task(call.session, call.owner, call.arguments.task_id)
    return {**done(task, "completed" if task.completed else "skipped"), "due_date": task.due_date}


ACTION_TOOLS = [
    Tool(
        "quick_add",
        "Add a task from one line of English, such as: Pay rent every month on the 1st at 9 #home p:high @bank. "
        "# names a project, @ a tag.",
        QuickAdd,
        QuickDone,
        quick_add,
    ),
    Tool(
        "move_task",
        "Put a task before or after another in the order by hand, into a project, or below another task. "
        "Without before and after it comes last.",
        MoveTask,
        Done,
        move_task,
    ),
    Tool("skip_task", "Move a repeating task on to its next date without doing it.", TaskId, Skipped, skip_task),
]
