"""Other versions of the products' files, and what they hold only sometimes, by the rules of ``expected.json``."""

# ruff: noqa: E501 - rows as the products write them

import json
from typing import Any

import pytest

from tests.api.products.expectations import State, faults
from tests.api.products.test_expected import send
from tests.support import Person

TICKTICK_6 = """"Date: 2023-05-21+0000"
"Version: 6.0"
"Status: 0 Normal 1 Completed 2 Archived"

"Folder Name","List Name","Title","Tags","Content","Is Check list","Start Date","Due Date","Reminder","Repeat","Priority","Status","Created Time","Completed Time","Order","Timezone","Is All Day","Is Floating","Column Name","Column Order","View Mode"
"","Work","Call Bob","","","N","2027-05-24 13:00:00","2027-05-24 14:00:00","TRIGGER:-PT15M","FREQ=DAILY;INTERVAL=1","p1","0","2023-05-21T10:00:00+0000","","-1","America/New_York","false","false","Doing","1","list"
"","Work","","","only content","N","2027-05-31T04:00:00+0000","","","RRULE:FREQ=MONTHLY;TT_WORKDAY=-1","0","0","2023-05-21T10:00:00+0000","","-1","America/New_York","true","false","Not Sectioned","1","list"
"","Work","short"
"","Inbox","By the moon","","","N","2027-05-22T04:00:00+0000","2027-05-22T04:00:00+0000","PT9H","LUNAR:FREQ=YEARLY","5","7","bad","","-1","Mars/Base","true","false","","1","list"
"","Inbox","Floating","","","N","2027-05-24T13:00:00+0000","2027-05-24T13:00:00+0000","","RRULE:FREQ=DAILY;TT_SKIP=WEEKEND","5","0","","","-1","America/New_York","false","true","","1","list"
"""
OUTLOOK_GERMAN = """"Betreff";"Beginnt am";"Fällig am";"Erinnerung Ein/Aus";"Erinnerung am";"Erinnerung um";"Erledigt am";"% erledigt";"Gesamtaufwand";"Ist-Aufwand";"Abrechnungsinformationen";"Firmen";"Kategorien";"Kontakte";"Notizen";"Priorität";"Privat";"Reisekilometer";"Rolle";"Schedule+ Priorität";"Status";"Vertraulichkeit"
"Steuer";"4.1.2027";"15.01.2027";"Ein";"14.1.2027";"09:30:00";;"0%";"120";"0";;;"Haus;Geld";;"Belege";"Hoch";"Aus";;;;"Nicht begonnen";"Normal"
"Warten";;"3.12.2027";"Aus";;;;"50%";"0";"0";;;;;;"Niedrig";"Ein";;;;"Wartet auf jemand anderen";"Privat"
"Fertig";;"3.12.2026";"Aus";;;"2.12.2026";"100%";"0";"0";;;;;;"Normal";"Aus";;;;"Erledigt";"Normal"
"""
OUTLOOK_UNKNOWN = """Objekt,Eka,Toka,Kolmas,Neljas,Viides,Kuudes,%,Tyot,Tehty,Info,Muut,Schedule+ x,Tila
A,04/01/2027,05/02/2027,True,04/01/2027,09:00:00,,0,0,0,,x,,y
B,,25/02/2027,False,,,26/02/2027,1,0,0,,,,
"""
GRAPH_PAGE = {
    "@odata.context": "x",
    "value": [
        {
            "title": "T1", "status": "inProgress", "importance": "low", "id": "1", "hasAttachments": True,
            "dueDateTime": {"dateTime": "2027-01-26T00:00:00.0000000", "timeZone": "Pacific Standard Time"},
            "recurrence": {
                "pattern": {"type": "relativeMonthly", "interval": 2, "daysOfWeek": ["tuesday"], "index": "last"},
                "range": {"type": "numbered", "numberOfOccurrences": 5},
            },
            "body": {"contentType": "html", "content": '<p>Hi <a href="http://a.example">there</a></p><ul><li>x</li></ul>'},
            "linkedResources": [{"webUrl": "http://mail.example", "displayName": "Mail"}],
        },
        {"title": "T2", "status": "waitingOnOthers", "categories": None, "id": "2", "tasks": 5},
        {"title": None, "id": "3"},
        5,
        {"title": "T4", "id": 4, "recurrence": {"pattern": {"type": "daily", "interval": 1},
                                               "range": {"startDate": "2027-02-01"}}},
    ],
}  # fmt: skip
TODOIST_9 = {
    "sync_token": "x",
    "projects": [{"id": 1, "name": "Inbox", "inbox_project": 1}, {"id": 2, "name": "Area", "is_favorite": 1},
                 {"id": 3, "name": "Deep", "parent_id": 2}],
    "items": [
        {"id": 11, "content": "A", "project_id": 3, "checked": 1, "date_completed": "2026-11-01T10:00:00Z", "priority": 4},
        {"id": 12, "content": "B", "project_id": 1, "parent_id": 11, "duration": {"amount": 2, "unit": "day"},
         "due": {"date": "2027-01-05T16:30:00", "string": "every! 3 days", "lang": "en", "is_recurring": True}},
        {"id": 13, "content": "C", "project_id": 1, "priority": "3",
         "due": {"date": "2027-01-04", "string": "jeden montag", "lang": "de", "is_recurring": True}},
        {"id": 14, "content": "D", "responsible_uid": 5,
         "due": {"date": "2027-01-04", "string": "every blue moon", "lang": "en", "is_recurring": True}},
    ],
    "notes": [{"id": 1, "item_id": 12, "content": "c", "file_attachment": {"file_name": "a.png", "file_url": "http://f"}}],
    "project_notes": [{"id": 2, "project_id": 3, "content": "of the project"}],
    "reminders": [{"item_id": 12, "type": "relative", "mm_offset": 45}, {"item_id": 14, "type": "location", "name": "home"}],
    "filters": [{"name": "my filter"}], "collaborators": [{"id": 5, "full_name": "Ann"}],
}  # fmt: skip
VIKUNJA_OLD = [
    {"id": 1, "title": "Space", "description": "told", "lists": [
        {"id": 1, "title": "L1", "buckets": [{"id": 2, "title": "Backlog"}, {"id": 3, "title": "Doing"}], "tasks": [
            {"id": 1, "title": "A", "due_date": "2027-01-05T08:00:00Z", "reminder_dates": ["2027-01-05T07:00:00Z"],
             "repeat_after": 90000, "priority": 5, "bucket_id": 3, "attachments": [{"id": 1, "file": {"name": "a.png"}}],
             "related_tasks": {"blocked": [{"id": 9, "title": "blocker"}]},
             "description": '<ul><li data-checked="true"><div><p>one</p></div></li></ul>'},
            {"id": 2, "title": "B", "repeat_mode": 1, "due_date": "2027-01-31T08:00:00Z", "hex_color": "ff0000"},
        ]},
    ]},
]  # fmt: skip
TRELLO_FULL = {
    "id": "b1", "name": "Board", "desc": "about", "lists": [{"id": "l1", "name": "To do"}, {"id": "l2", "name": "Old", "closed": True}],
    "cards": [
        {"id": "c1", "name": "Card", "idList": "l1", "labels": [{"name": "", "color": "green"}], "idMembers": ["m1"],
         "attachments": [{"name": "f", "url": "http://f.example"}], "dueReminder": -1, "due": "2027-01-05T11:00:00.000Z",
         "customFieldItems": [{"idCustomField": "f1", "value": {"number": "5"}}, {"idCustomField": "f2", "idValue": "o1"}]},
        {"id": "c2", "name": "Template", "isTemplate": True, "idList": "l1"},
        {"id": "c3", "name": "In an old list", "idList": "l2"},
    ],
    "checklists": [{"id": "k1", "idCard": "c1", "name": "Steps", "checkItems": [
        {"id": "i1", "name": "first", "state": "complete", "due": "2027-02-01T09:00:00Z"}]}],
    "members": [{"id": "m1", "fullName": "Ann"}],
    "customFields": [{"id": "f1", "name": "Points"}, {"id": "f2", "name": "Size", "options": [{"id": "o1", "value": {"text": "Big"}}]}],
    "actions": [{"id": "a1", "type": "createCard", "data": {}}],
}  # fmt: skip
SUPER_OLD = {
    "project": {"ids": ["P"], "entities": {"P": {"id": "P", "title": "Mine"}}}, "tag": {"ids": [], "entities": {}},
    "task": {"ids": ["a"], "entities": {"a": {"id": "a", "title": "A", "plannedAt": 1799078400000, "projectId": "P",
                                              "repeatCfgId": "rc", "timeEstimate": 60000, "issueId": "12"}}},
    "taskArchive": {"ids": ["z"], "entities": {"z": {"id": "z", "title": "Z", "isDone": True, "doneOn": 1793600000000}}},
    "reminders": [{"id": "r1", "remindAt": 1799076600000, "relatedId": "a", "type": "TASK"}],
    "taskRepeatCfg": {"ids": ["rc"], "entities": {"rc": {"id": "rc", "repeatCycle": "WEEKLY", "repeatEvery": 2, "monday": True}}},
    "note": {"ids": ["n"], "entities": {"n": {"id": "n", "content": "Idea\nmore"}}},
    "simpleCounter": {"ids": ["c"], "entities": {"c": {"id": "c", "title": "Coffee"}}},
}  # fmt: skip
WARRIOR_LINES = """{"description":"A","uuid":"u1","status":"pending","depends":"u3","tags":"x","size":"2h","due":"20270104T230000Z"}
{"description":"broken"
{"description":"B","uuid":"u2","status":"recurring","recur":"2mo","due":"20260104T230000Z"}
{"description":"C","uuid":"u3","status":"completed","end":"20260104T230000Z","project":"a.b"}
"""
TODO_TXT_ODD = """x (A) 2026-11-01 was urgent
Meet at 10:30 re:foo due:tomorrow
Call mum t:-3d due:2027-01-10 rec:3b
sub p:1
main id:1
due:2027-01-05
Pay +1 a@b.example @town
X 2026-11-01 capital
"""
GOOGLE_ONE_LIST = {
    "kind": "tasks#tasks", "etag": "x", "items": [
        {"kind": "tasks#task", "id": "b", "title": "Inner", "parent": "a", "status": "completed", "completed": "2026-11-05T10:00:00.000Z"},
        {"kind": "tasks#task", "id": "a", "title": "Outer", "status": "needsAction", "due": "2027-01-05T00:00:00.000Z"},
    ],
}  # fmt: skip
GOOGLE_LISTS = [{"id": "L", "title": "Flat", "items": [{"id": "a", "title": "T", "status": "needsAction"}]}]
GRAPH_LIST = {"displayName": "Home", "id": "L", "tasks": [{"title": "A", "id": "1", "status": "notStarted"}]}
TODOIST_COMPLETED = {
    "items": [{"id": "1", "task_id": "7", "content": "Done", "project_id": "p", "completed_at": "2026-11-01T10:00:00Z"}],
    "projects": {"p": {"id": "p", "name": "Past"}}, "sections": {"s": {"id": "s", "name": "Someday", "project_id": "p"}},
}  # fmt: skip
VIKUNJA_ARCHIVED = [
    {"id": 1, "title": "P", "is_archived": True, "updated": "0001-01-01T00:00:00Z", "tasks": [{"id": 1, "title": "A"}]}
]
TRELLO_CARDS = {
    "id": "b", "name": "Board", "closed": True,
    "cards": [{"id": "c1", "name": "Card", "idList": "l1", "idChecklists": ["k", "free"]}],
    "checklists": [{"id": "free", "name": "More", "checkItems": [{"id": "m", "name": "more"}]}, {
        "id": "of another", "idCard": "c9", "checkItems": [{"id": "n", "name": "of an archived card"}]}, {"id": "k", "idCard": "c1", "name": "Steps", "checkItems": [
        {"id": "i", "name": "step", "state": "incomplete", "due": "2027-02-01T09:00:00Z", "dueReminder": 60}]}],
}  # fmt: skip
SUPER_FOLDERS = {"data": {
    "project": {"ids": ["P"], "entities": {"P": {"id": "P", "title": "Mine"}}}, "tag": {"ids": [], "entities": {}},
    "menuTree": {"projectTree": [{"kind": "folder", "id": "F", "name": "Outer", "children": [{"kind": "project", "id": "P"}]}], "tagTree": []},
    "task": {"ids": ["a"], "entities": {"a": {"id": "a", "title": "A", "projectId": "P", "dueDay": "2027-01-29", "repeatCfgId": "r",
                                              "deadlineDay": "2027-02-02", "deadlineRemindAt": 1801468800000}}},
    "taskRepeatCfg": {"ids": ["r", "s"], "entities": {
        "r": {"id": "r", "repeatCycle": "MONTHLY", "repeatEvery": 1, "monthlyWeekOfMonth": -1, "monthlyWeekday": 5,
              "deletedInstanceDates": ["2027-02-26"]},
        "s": {"id": "s", "title": "S", "repeatCycle": "DAILY", "repeatEvery": 1, "startDate": "2100-01-05", "startTime": "09:30", "remindAt": "m5"},
    }},
}}  # fmt: skip
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "ticktick 6": (TICKTICK_6, {
        "tasks": 5, "done": 0, "projects": ["Work"],
        "titles": {
            "Call Bob": {"due": "2027-05-24T18:00:00Z", "start": "2027-05-24T17:00:00Z", "recurrence": "FREQ=DAILY",
                         "reminders": [["2027-05-24T16:45:00Z"]], "tags": ["Doing"], "priority": "low"},
            "only content": {"due": "2027-05-31", "recurrence": "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"},
            "By the moon": {"recurrence": None, "text": ["LUNAR"], "reminders": [["2027-05-22T07:00:00Z"]], "project": None},
            "Floating": {"due": "2027-05-24T07:00:00Z", "recurrence": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"},
            "short": {"project": "Work"},
        },
    }),
    "outlook, German": (OUTLOOK_GERMAN, {
        "tasks": 3, "done": 1,
        "titles": {
            "Steuer": {"start": "2027-01-04", "due": "2027-01-15", "reminders": [["2027-01-14T08:30:00Z"]], "estimate": 120,
                       "tags": ["Haus", "Geld"], "priority": "high", "text": ["Belege"]},
            "Warten": {"due": "2027-12-03", "status": "waiting", "priority": "low", "text": ["50 %", "Privat"]},
            "Fertig": {"done": True, "completed_on": "2026-12-02"},
        },
    }),
    "outlook, another language": (OUTLOOK_UNKNOWN, {
        "tasks": 2, "done": 1, "held": ["Muut"],
        "titles": {"A": {"start": "2027-01-04", "due": "2027-02-05", "reminders": [["2027-01-04T08:00:00Z"]]},
                   "B": {"due": "2027-02-25", "done": True, "completed_on": "2027-02-26"}},
    }),
    "graph page": (json.dumps(GRAPH_PAGE), {
        "tasks": 3, "done": 0, "held": ["hasAttachments"],
        "titles": {
            "T1": {"due": "2027-01-26", "status": "in_progress", "recurrence": "FREQ=MONTHLY;INTERVAL=2;BYDAY=-1TU;COUNT=5",
                   "text": ["there (http://a.example)", "http://mail.example", "- x"]},
            "T2": {"status": "waiting"}, "T4": {"due": "2027-02-01", "recurrence": "FREQ=DAILY"},
        },
    }),
    "todoist sync 9": (json.dumps(TODOIST_9), {
        "tasks": 4, "done": 1, "projects": ["Area", "Deep"], "project_parent": {"Deep": "Area"}, "held": ["my filter"],
        "titles": {
            "A": {"done": True, "completed_on": "2026-11-01", "priority": "urgent", "comment": "of the project"},
            "B": {"parent": "A", "due": "2027-01-05T15:30:00Z", "recurrence": "FREQ=DAILY;INTERVAL=3", "estimate": 2880,
                  "recurrence_from": "completion", "reminders": [["2027-01-05T14:45:00Z"]], "comment": "a.png http://f"},
            "C": {"recurrence": "FREQ=WEEKLY;BYDAY=MO", "priority": "high", "project": None},
            "D": {"recurrence": None, "text": ["every blue moon", "Ann", "home"]},
        },
    }),
    "vikunja, namespaces": (json.dumps(VIKUNJA_OLD), {
        "tasks": 2, "done": 0, "projects": ["L1"], "project_parent": {"L1": "Space"}, "held": ["ff0000"],
        "titles": {
            "A": {"recurrence": None, "text": ["90000", "a.png", "blocker", "- [x] one"], "priority": "urgent",
                  "tags": ["Doing"], "reminders": [["2027-01-05T07:00:00Z"]]},
            "B": {"recurrence": "FREQ=MONTHLY"},
        },
    }),
    "trello, all of it": (json.dumps(TRELLO_FULL), {
        "tasks": 4, "done": 1, "projects": ["Board"], "held": ["about"],
        "titles": {
            "Card": {"tags": ["green", "To do"], "text": ["http://f.example", "Ann", "Points: 5", "Size: Big"], "reminders": [[]]},
            "first": {"parent": "Card", "done": True, "due": "2027-02-01T09:00:00Z"},
            "Template": {"status": "cancelled", "tags": ["template"]}, "In an old list": {"status": "cancelled"},
        },
    }),
    "super productivity, old": (json.dumps(SUPER_OLD), {
        "tasks": 3, "done": 1, "projects": ["Mine"], "held": ["Coffee"], "kept": ["more"],
        "titles": {
            "A": {"due": "2027-01-04T16:00:00Z", "recurrence": "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO", "estimate": 1,
                  "reminders": [["2027-01-04T15:30:00Z"]], "text": ["12"]},
            "Z": {"done": True, "completed_on": "2026-11-02"},
        },
    }),
    "taskwarrior, lines": (WARRIOR_LINES, {
        "tasks": 3, "done": 1,
        "titles": {
            "A": {"due": "2027-01-05", "text": ["Depends on: C", "size: 2h"], "tags": ["x"]},
            "B": {"due": "2026-01-05", "recurrence": "FREQ=MONTHLY;INTERVAL=2"}, "C": {"project": "b", "done": True},
        },
    }),
    "todo.txt, odd lines": (TODO_TXT_ODD, {
        "tasks": 8, "done": 1,
        "titles": {
            "X 2026-11-01 capital": {"done": False},
            "was urgent": {"done": True, "priority": "urgent"},
            "Meet at 10:30": {"due": None, "text": ["re:foo", "tomorrow"]},
            "Call mum": {"start": "2027-01-07", "recurrence": None, "text": ["rec:3b"]},
            "sub": {"parent": "main"}, "due:2027-01-05": {"due": "2027-01-05"}, "Pay +1 a@b.example": {"tags": ["town"]},
        },
    }),
    "google, one list": (json.dumps(GOOGLE_ONE_LIST), {
        "tasks": 2, "done": 1, "titles": {"Inner": {"parent": "Outer", "done": True}, "Outer": {"due": "2027-01-05", "project": None}},
    }),
    "google, lists alone": (json.dumps(GOOGLE_LISTS), {"tasks": 1, "done": 0, "titles": {"T": {"project": "Flat"}}}),
    "graph, one list": (json.dumps(GRAPH_LIST), {"tasks": 1, "done": 0, "titles": {"A": {"project": "Home"}}}),
    "todoist, completed": (json.dumps(TODOIST_COMPLETED), {
        "tasks": 1, "done": 1, "held": ["Someday"], "titles": {"Done": {"completed_on": "2026-11-01", "project": "Past"}},
    }),
    "vikunja, archived at no time": (json.dumps(VIKUNJA_ARCHIVED), {"tasks": 1, "done": 0, "archived": ["P"], "titles": {"A": {"project": "P"}}}),
    "trello, without lists": (json.dumps(TRELLO_CARDS), {
        "tasks": 3, "done": 0, "archived": ["Board"], "held": ["of an archived card"],
        "titles": {"more": {"parent": "Card"}, "step": {"parent": "Card", "reminders": [["2027-02-01T08:00:00Z"]]}},
    }),
    "super productivity, folders": (json.dumps(SUPER_FOLDERS), {
        "tasks": 2, "done": 0, "projects": ["Mine"], "project_parent": {"Mine": "Outer"}, "held": ["2027-02-26"],
        "titles": {
            "A": {"recurrence": "FREQ=MONTHLY;BYDAY=-1FR", "deadline": "2027-02-02", "reminders": [["2027-02-01T08:00:00Z"]]},
            "S": {"due": "2100-01-05T08:30:00Z", "reminders": [["2100-01-05T08:25:00Z"]], "recurrence": "FREQ=DAILY"},
        },
    }),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
async def test_an_odd_file_loses_nothing(alice: Person, name: str) -> None:
    content, expected = CASES[name]
    await alice.patch("/settings", {"timezone": "Europe/Berlin"})
    report = await send(alice, content.encode(), "application/octet-stream")
    assert [*faults(await State.read(alice, report), expected)] == []
    again = await send(alice, content.encode(), "application/octet-stream")
    assert {*again["created"].values()} == {0}
