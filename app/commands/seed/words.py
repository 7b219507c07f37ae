"""Texts of the demo data."""

from typing import NamedTuple


class Theme(NamedTuple):
    """A project, and the words of its tasks: any of ``verbs`` fits any of ``things``."""

    name: str
    color: str
    tags: tuple[str, ...]
    verbs: tuple[str, ...]
    things: tuple[str, ...]


class Series(NamedTuple):
    """A recurring task, every ``days`` days, or on the first of each month if that is 0."""

    title: str
    theme: int
    days: int
    rule: str
    due: int  # days from today; ignored if ``days`` is 0
    time: str = ""


DEMO_THEMES = (
    Theme(
        "Home", "#d97706", ("errands", "calls", "house"),
        ("Buy", "Compare prices for", "Find a place for", "Ask the neighbours about", "Sort out"),
        ("a new kettle", "light bulbs", "the winter tyres", "a carpet cleaner", "the old sofa", "shelves for the hall",
         "smoke detectors", "a second set of keys", "boxes for the cellar", "paint for the kitchen"),
    ),
    Theme(
        "Work", "#2563eb", ("writing", "meetings", "review", "deep-work"),
        ("Draft", "Review", "Send Priya", "Present", "Update"),
        ("the quarterly report", "the onboarding guide", "slides for the all-hands", "the budget", "release notes",
         "the interview questions", "the roadmap", "the incident summary", "the supplier contract", "the test plan"),
    ),
    Theme(
        "Health", "#16a34a", ("calls", "sport"),
        ("Book", "Reschedule", "Prepare for", "Pay the bill of", "Get papers for"),
        ("the dentist", "physiotherapy", "an eye test", "the vaccination", "the running course", "the check-up",
         "the swimming lessons", "the yoga weekend"),
    ),
    Theme(
        "Garden", "#65a30d", ("outside", "errands"),
        ("Plant", "Prune", "Protect from frost", "Repot", "Read up on"),
        ("the roses", "the apple tree", "tomatoes", "the hedge", "lavender", "the raspberries", "the fig", "tulips"),
    ),
    Theme(
        "Lisbon in spring", "#db2777", ("travel", "booking"),
        ("Look up", "Book", "Ask Jonas about", "Print", "Put on the map:"),
        ("the tram tickets", "the fado evening", "a day in Sintra", "the cooking class", "the ferry to Cacilhas",
         "a table at the market", "the tile museum", "the surf lesson"),
    ),
    Theme(
        "Learning", "#7c3aed", ("reading", "practice"),
        ("Read", "Take notes on", "Practise", "Summarise", "Return to the library:"),
        ("the chapter on databases", "Portuguese verbs", "the essay on attention", "chords in G", "the statistics book",
         "the course on drawing", "the article about tides", "the history of maps"),
    ),
)  # fmt: skip

DEMO_SERIES = (
    Series("Put the bins out", 0, 7, "FREQ=WEEKLY", 2),
    Series("Water the plants", 3, 3, "FREQ=DAILY;INTERVAL=3", -1),
    Series("Weekly review", 1, 7, "FREQ=WEEKLY", 0, "16:00"),
    Series("Pay the rent", 0, 0, "FREQ=MONTHLY;BYMONTHDAY=1", 0),
    Series("Run five kilometres", 2, 4, "FREQ=DAILY;INTERVAL=4", 1, "07:30"),
    Series("Call the parents", 0, 7, "FREQ=WEEKLY", 3, "19:00"),
)

# A task, its theme, its subtasks, and how many of those are completed.
DEMO_TREES = (
    ("Plan the birthday party", 0, ("Write the guest list", "Order the cake", "Choose the music", "Buy candles"), 1),
    ("Prepare the release", 1, ("Freeze the branch", "Run the load test", "Write the announcement", "Tag it"), 2),
    ("Book the trip", 4, ("Compare flights", "Reserve the flat", "Insure the luggage", "Tell the neighbours"), 3),
    ("Build the raised bed", 3, ("Measure the corner", "Order the wood", "Mix the soil"), 0),
)

DEMO_NOTES = (
    "Not before the weekend.",
    "The receipt is in the blue folder.",
    "Two offers are in the mail, the second one is cheaper.",
    "Ask first whether it can wait.",
)
DEMO_COMMENTS = (
    "Called, nobody answered. Try again in the morning.",
    "Half done, the rest needs an hour.",
    "Jonas will help with this one.",
    "Moved, the shop was closed.",
    "They said within ten days.",
)
