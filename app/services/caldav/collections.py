"""The collections of an owner: one for each project that is not archived, and the inbox."""

from typing import Any, NamedTuple

from pydantic import TypeAdapter, ValidationError

from app.db.session import Session
from app.errors import CollectionRefused, Conflict, DavObjectNotFound, ProjectNameTaken
from app.models.projects import PROJECT_NAME_MAX, Color, ProjectCreate, ProjectName, ProjectUpdate
from app.models.types import is_uid
from app.schemas.projects import ProjectDeletion
from app.services.projects import create_project, delete_project, get_project, list_projects, update_project
from app.services.uids import find_by_uid
from app.services.users import get_revision

INBOX_NAME, INBOX_TITLE = "inbox", "Inbox"
# Of a project whose uid is that of the inbox. No uid has an apostrophe.
INBOX_PROJECT_NAME = "inbox'"
DOT_SEGMENTS = frozenset({".", ".."})  # which clients take out of a path (RFC 3986, 5.2.4)
LIST_TITLE = "List"
NAME_TRIES = 50  # of names that differ by a number
_NAME_ADAPTER: TypeAdapter[str] = TypeAdapter(ProjectName)
_COLOR_ADAPTER: TypeAdapter[str] = TypeAdapter(Color)


class Collection(NamedTuple):
    """A list of tasks; ``project_id`` is None for the inbox. ``title`` and ``color`` are there where they were read."""

    name: str
    project_id: int | None
    title: str = ""
    color: str | None = None


class HomeRead(NamedTuple):
    """The collections, and the owner's revision."""

    collections: list[Collection]
    revision: int


def _collection_of(project: Any) -> Collection:
    name = INBOX_PROJECT_NAME if project.uid == INBOX_NAME else project.uid
    return Collection(name, project.id, project.name, project.color)


async def list_collections(session: Session, owner: str) -> HomeRead:
    """Returns the inbox, then the projects that are not archived in their order."""
    projects, revision = await list_projects(session, owner, "false")
    inbox = Collection(INBOX_NAME, None, INBOX_TITLE)
    return HomeRead([inbox, *map(_collection_of, projects)], revision)


async def find_collection(session: Session, owner: str, name: str) -> Collection:
    """Returns a collection by its name, without title and color. Raises DavObjectNotFound."""
    if name == INBOX_NAME:
        return Collection(INBOX_NAME, None, INBOX_TITLE)
    uid = INBOX_NAME if name == INBOX_PROJECT_NAME else name
    found = await find_by_uid(session, owner, "project", uid) if is_uid(uid) else None
    if found is None or found.deleted_at is not None:
        raise DavObjectNotFound
    return Collection(name, found.id)


async def read_collection(session: Session, owner: str, name: str) -> HomeRead:
    """Returns one collection with all that is known of it. Raises DavObjectNotFound."""
    found = await find_collection(session, owner, name)
    if found.project_id is not None:
        project = await get_project(session, owner, found.project_id)
        found = found._replace(title=project.name, color=project.color)
    return HomeRead([found], await get_revision(session, owner))


async def create_collection(session: Session, owner: str, name: str, title: str, color: str | None) -> None:
    """Makes a project. One whose name is taken gets a number. Raises CollectionRefused, Conflict, TooManyProjects."""
    if not is_uid(name) or name == INBOX_NAME or name in DOT_SEGMENTS:
        raise CollectionRefused("A list is named by letters, digits and ._~:@+=,;()!*$&{}-.")
    if await find_by_uid(session, owner, "project", name) is not None:
        raise Conflict("There is or was a list of this name.")
    base = clean_title(title) or clean_title(name) or LIST_TITLE
    taken = {project.name.lower() for project in (await list_projects(session, owner, "all"))[0]}
    wanted = base
    for number in range(2, NAME_TRIES):
        if wanted.lower() not in taken:
            break
        suffix = f" ({number})"
        wanted = base[: PROJECT_NAME_MAX - len(suffix)] + suffix
    await create_project(session, owner, ProjectCreate(uid=name, name=wanted, color=clean_color(color)))


async def update_collection(
    session: Session, owner: str, name: str, *, title: str | None, color: str | None
) -> set[str]:
    """Sets the title and the color, where they are not None. Returns which of them could be set.

    Raises DavObjectNotFound.
    """
    found = await find_collection(session, owner, name)
    sent = {"name": clean_title(title) if title is not None else None, "color": clean_color(color)}
    fields = {field: value for field, value in sent.items() if value}
    if found.project_id is None or not fields:
        return set()
    try:
        await update_project(session, owner, found.project_id, ProjectUpdate.model_validate(fields))
    except ProjectNameTaken:
        return set()
    return {"title" if field == "name" else field for field in fields}


async def delete_collection(session: Session, owner: str, name: str) -> None:
    """Moves a project to the trash, with its tasks. Raises DavObjectNotFound; CollectionRefused for the inbox."""
    found = await find_collection(session, owner, name)
    if found.project_id is None:
        raise CollectionRefused("The inbox is always there.")
    await delete_project(session, owner, found.project_id, deletion=ProjectDeletion())


def clean_title(text: str) -> str | None:
    """Returns a name of a project; None for a text that cannot be one."""
    try:
        return _NAME_ADAPTER.validate_python(text.strip()[:PROJECT_NAME_MAX])
    except ValidationError:
        return None


def clean_color(text: str | None) -> str | None:
    """Returns a color of a project; those of Apple's apps have two digits more, for how opaque it is."""
    try:
        return _COLOR_ADAPTER.validate_python(text.strip()[:7]) if text else None
    except ValidationError:
        return None
