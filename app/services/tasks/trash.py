"""Bringing many tasks back from the trash, each to where it would go alone."""

from typing import Any

from app.db.session import Session
from app.services.tasks.bulk_statements import DEPTHS, RETURNS, TOGETHER, update_all
from app.services.tasks.subtasks import place_of_return

Row = dict[str, Any]
RESTORE = update_all(frozenset(), frozenset({"parent_id", "project_id"}), "restored")


async def restore_all(session: Session, owner: str, targets: dict[int, Row]) -> None:
    """From above to below, one level after the other, so that a parent is back before what was below it.

    The owner must be locked, and the number taken.
    """
    depths = dict((await session.exec(DEPTHS, {"owner": owner, "ids": list(targets)})).all())
    back: set[int] = set()
    for depth in sorted(set(depths.values())):
        roots = [task_id for task_id in targets if depths[task_id] == depth and task_id not in back]
        if roots:  # the others came back with their parents
            rows = await _places(session, owner, roots)
            await session.exec(RESTORE, {"owner": owner, "rows": rows})
            back |= {row["id"] for row in rows}


async def _places(session: Session, owner: str, roots: list[int]) -> list[Row]:
    """Parent and project of ``roots`` and of what comes back together with them."""
    values = {"owner": owner, "ids": roots}
    tree = (await session.exec(TOGETHER, values)).all()
    heights: dict[int, int] = {}
    for row in tree:
        heights[row.root] = max(row.level, heights.get(row.root, 0))
    found = (await session.exec(RETURNS, values)).all()
    places = {each.id: place_of_return(each, heights[each.id]) for each in found}
    return [
        {
            "id": row.id,
            "project_id": places[row.root].project_id,
            "parent_id": places[row.id].parent_id if row.id in places else row.parent_id,
        }
        for row in tree
    ]
