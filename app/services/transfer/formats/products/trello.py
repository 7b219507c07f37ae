"""Reading Trello's board as JSON: cards, lists, checklists and comments stand in arrays apart.

The board is the project, a list a tag of its cards, a checklist's items are subtasks. An archived card, or one of an
archived list, is cancelled here unless it was done.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from typing import Any

from app.services.transfer.formats.file_context import EntityRow, FileContext
from app.services.transfer.formats.products.draft import Draft
from app.services.transfer.formats.products.json_file import (
    DocumentShape,
    JsonPart,
    Row,
    UnknownNames,
    items_of,
    objects,
    readable_rows,
    rows_of,
    text_at,
)
from app.services.transfer.formats.products.moments import read_moment, spell_seconds
from app.services.transfer.formats.products.projects import FoundProject, ProjectTree, left_out_text
from app.services.transfer.import_row import (
    Deviation,
    ImportRow,
    LoadedRow,
    bounded_source_id,
    make_warning,
    warn_of_file,
)

TRELLO_NAMES = frozenset(
    {
        "id", "agent", "badges", "checkItemStates", "closed", "dueComplete", "dateLastActivity", "desc", "descData",
        "due", "dueReminder", "email", "idBoard", "idChecklists", "checklists", "idList", "idMembers", "idMembersVoted",
        "idShort", "idAttachmentCover", "labels", "idLabels", "manualCoverAttachment", "name", "pos", "shortLink",
        "shortUrl", "start", "subscribed", "url", "cover", "isTemplate", "cardRole", "attachments", "pluginData",
        "customFieldItems", "nodeId", "limits", "dateCompleted", "dateClosed", "idOrganization", "mirrorSourceId",
        "nameData", "attachmentsCount", "address", "locationName", "coordinates", "staticMapUrl", "stickers",
        "idMemberCreator", "creationMethod", "faviconUrl", "actions",
    }
)  # fmt: skip
COMMENT_TYPES = frozenset({"commentCard", "copyCommentCard"})
DEFAULT_CHECKLISTS = frozenset({"", "checklist"})
_BOARD_NAMES = frozenset({"id", "name", "desc", "closed", "dateClosed", "dateLastActivity", "starred", "members"})


def is_trello(shape: DocumentShape) -> bool:
    return (
        {"cards", "lists"} <= shape.names
        or {"cards", "lists"} <= shape.item_names
        or {"idList", "name"} <= shape.names_within("cards")
    )


class Board:
    """One board."""

    def __init__(self, names: dict[str, JsonPart], context: FileContext) -> None:
        """Finds cards, items and comments. Raises TooManyRows."""
        self._context = context
        self._head = {name: part.value() for name, part in names.items() if name in _BOARD_NAMES}
        self._parts = {
            name: names[name].items() if name in names else []
            for name in ("cards", "lists", "checklists", "actions", "customFields")
        }
        self._unknown = UnknownNames(TRELLO_NAMES)
        self._lists = {text_at(row, "id"): row for row in readable_rows(self._parts["lists"])}
        self._fields = {text_at(row, "id"): row for row in readable_rows(self._parts["customFields"])}
        self._members = {text_at(row, "id"): text_at(row, "fullName") for row in objects(self._head.get("members"))}
        self._checklists = {text_at(row, "id"): row for row in readable_rows(self._parts["checklists"])}
        self._checklists_of: dict[str, list[str]] = {}
        for id_, checklist in self._checklists.items():
            self._checklists_of.setdefault(text_at(checklist, "idCard"), []).append(id_)
        self._cards: set[str] = set()
        self._read_checklists: set[str] = set()
        self._numbers = count(1)

    def rows(self) -> Iterator[EntityRow]:
        tree, id_ = ProjectTree("trello"), text_at(self._head, "id")
        found = FoundProject(text_at(self._head, "name"), warnings=left_out_text("desc", self._head.get("desc")))
        if self._head.get("closed"):
            closed = self._head.get("dateClosed") or self._head.get("dateLastActivity")
            found.put(archived_at=closed or self._context.now.isoformat())
        found.put(favorite=bool(self._head.get("starred")))
        tree.add(id_, found)
        yield from tree.rows()
        for entity, item in rows_of("tasks", self._parts["cards"], lambda _, row: self._card(row, tree.refer(id_))):
            item.row = next(self._numbers)
            yield entity, item
        yield from rows_of("comments", self._parts["actions"], self._comment)
        if warnings := [*self._unknown.warnings(), *self._unused()]:
            yield warn_of_file(*warnings)

    def _unused(self) -> list[Any]:
        """Returns warnings of lists and checklists without a card, which leave no trace else."""
        lists = [text_at(row, "name") for id_, row in self._lists.items() if id_ not in self._cards]
        checklists = [row for id_, row in self._checklists.items() if id_ not in self._read_checklists]
        items = [text_at(item, "name") for row in checklists for item in objects(row.get("checkItems"))]
        found = [make_warning("lists", "A list is a tag of its cards: these have none.", ", ".join(lists))]
        found.append(make_warning("checklists", "The cards of these items are not in the file.", ", ".join(items)))
        return [warning for warning in found if warning.value]

    def _card(self, row: Row, project: str | None) -> Iterator[EntityRow]:
        self._unknown.note(row)
        id_ = text_at(row, "id")
        self._cards.add(text_at(row, "idList"))
        source = bounded_source_id(f"trello:{id_}")
        yield "tasks", ImportRow(0, source, lambda: self._load(row), project=project, uid=id_)
        own = objects(row.get("checklists"))  # where a card holds its own
        found = [self._checklists[each] for each in self._find_checklists(row)]
        checklists = own or found
        for checklist in checklists:
            name = text_at(checklist, "name")
            label = "" if len(checklists) == 1 and name.strip().casefold() in DEFAULT_CHECKLISTS else name
            for item in objects(checklist.get("checkItems")):
                yield "tasks", ImportRow(
                    0, bounded_source_id(f"trello:{text_at(item, 'id')}"),
                    lambda item=item, label=label: self._load_item(item, label, row),  # type: ignore[misc]
                    parent=source, project=project,
                )  # fmt: skip

    def _find_checklists(self, row: Row) -> list[str]:
        """Returns the ids of the checklists of a card: those that name it, and those without a card that it names."""
        named = [str(each) for each in items_of(row.get("idChecklists"))]
        free = [each for each in named if each in self._checklists and not text_at(self._checklists[each], "idCard")]
        found = [*dict.fromkeys([*self._checklists_of.get(text_at(row, "id"), ()), *free])]
        self._read_checklists.update(found)
        return found

    def _comment(self, number: int, row: Row) -> Iterator[EntityRow]:
        text, card = text_at(row, "data", "text"), text_at(row, "data", "card", "id")
        if text_at(row, "type") not in COMMENT_TYPES or not text:
            return
        loaded = LoadedRow({"body": text, "created_at": row.get("date")})
        source = bounded_source_id(f"trello:{text_at(row, 'id')}")
        yield "comments", ImportRow(number, source, lambda: loaded, task=bounded_source_id(f"trello:{card}"))

    def _load_item(self, item: Row, checklist: str, card: Row) -> LoadedRow:
        draft = Draft(self._context, item.get("name"), f"Checklist: {checklist}" if checklist else "")
        if item.get("state") == "complete":
            draft.complete()
        elif self._is_archived(card) or card.get("dueComplete"):
            draft.cancel()
            draft.note("state", "Its card is closed: the item is cancelled.", item.get("state"), Deviation.CHANGED)
        draft.put_date("due_date", item.get("due"), "Due")
        _put_reminder(draft, item)
        if person := text_at(item, "idMember"):
            draft.keep("idMember", self._members.get(person) or person, "Assigned to")
        return draft.loaded()

    def _is_archived(self, row: Row) -> bool:
        return bool(row.get("closed") or self._lists.get(text_at(row, "idList"), {}).get("closed"))

    def _load(self, row: Row) -> LoadedRow:
        draft = Draft(self._context, row.get("name"), row.get("desc"))
        self._put_state(draft, row)
        draft.put_date("due_date", row.get("due"), "Due")
        draft.put_date("start_date", row.get("start"), "Start")
        labels = objects(row.get("labels"))
        draft.put_tags(text_at(label, "name") or text_at(label, "color") for label in labels)
        draft.put_section("idList", text_at(self._lists.get(text_at(row, "idList"), {}), "name"))
        _put_reminder(draft, row)
        self._keep_others(draft, row)
        draft.put_stamp("created_at", _created(text_at(row, "id")))
        draft.put_stamp("updated_at", read_moment(row.get("dateLastActivity"), UTC))
        return draft.loaded()

    def _put_state(self, draft: Draft, row: Row) -> None:
        last = read_moment(row.get("dateLastActivity"), UTC)
        if row.get("dueComplete"):
            completed = read_moment(row.get("dateCompleted"), UTC)
            draft.complete(completed or last)
            if completed is None:
                message = "The card has no date of completion: that of its last change was taken."
                draft.note("completed_at", message, row.get("dateLastActivity"), Deviation.GUESSED)
        elif self._is_archived(row) or row.get("isTemplate"):
            kind = "A template" if row.get("isTemplate") else "An archived card"
            draft.cancel()
            draft.note("closed", f"{kind} is a cancelled task here.", row.get("name"), Deviation.CHANGED)
            draft.put_tags(["template"] if row.get("isTemplate") else [])
        elif row.get("cardRole") == "separator":
            draft.note("cardRole", "A separator is a task here.", row.get("name"), Deviation.CHANGED)

    def _keep_others(self, draft: Draft, row: Row) -> None:
        for attachment in objects(row.get("attachments")):
            texts = dict.fromkeys([text_at(attachment, "name"), text_at(attachment, "url")])
            draft.keep(
                "attachments", " ".join(filter(None, texts)), "Attachment", "Only the link of an attachment stays"
            )
        for person in items_of(row.get("idMembers")):
            draft.keep("idMembers", self._members.get(str(person)) or person, "Assigned to")
        for item in objects(row.get("customFieldItems")):
            self._keep_custom_field(draft, item)
        place = [text_at(row, "locationName"), text_at(row, "address")]
        draft.keep("locationName", ", ".join(filter(None, place)), "Place")

    def _keep_custom_field(self, draft: Draft, item: Row) -> None:
        field = self._fields.get(text_at(item, "idCustomField"), {})
        value = item.get("value")
        text = ", ".join(str(each) for each in value.values()) if isinstance(value, dict) else ""
        if option := text_at(item, "idValue"):
            options = {text_at(each, "id"): text_at(each, "value", "text") for each in objects(field.get("options"))}
            text = options.get(option) or option
        draft.keep("customFieldItems", text, text_at(field, "name") or "Custom field")


def _put_reminder(draft: Draft, row: Row) -> None:
    """Puts a reminder of a number of minutes before the due date; -1 is none."""
    minutes = row.get("dueReminder")
    if isinstance(minutes, int | float) and minutes >= 0 and draft.due is not None:
        draft.remind(spell_seconds(-60 * int(minutes)))


def read_trello(document: JsonPart, context: FileContext) -> Iterator[EntityRow]:
    names = document.names()
    boards = [names] if names else [part.names() for part in document.items()]
    return _rows([Board(board, context) for board in boards])


def _rows(boards: list[Board]) -> Iterator[EntityRow]:
    for board in boards:
        yield from board.rows()


def _created(id_: str) -> datetime | None:
    """Returns the time at which an id was made: its first eight digits are Unix time."""
    try:
        return datetime.fromtimestamp(int(id_[:8], 16), UTC) if len(id_) == 24 else None
    except ValueError:
        return None
