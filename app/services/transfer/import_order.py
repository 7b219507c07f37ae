"""The order in which rows that refer to each other can be created."""

from collections import Counter

from app.services.transfer.import_row import ImportRow

LEVELS_MAX = 50  # each is one write; subtasks need five levels, and a series of a series is rare


def sort_into_levels(items: list[ImportRow]) -> tuple[list[list[ImportRow]], list[ImportRow]]:
    """Returns rows by level, each after the parent and the series that it refers to, else in the file's order.

    And the rows without a level: they refer to each other in a circle, or in a chain that is too long.
    """
    places: dict[str, int] = {}
    for number, item in enumerate(items):
        places.setdefault(item.source, number)
    waits, followers = [0] * len(items), dict[int, list[int]]()
    for number, item in enumerate(items):
        for source in {item.parent, item.series} & places.keys():
            followers.setdefault(places[source or ""], []).append(number)
            waits[number] += 1
    level = [number for number, count in enumerate(waits) if count == 0]
    levels: list[list[ImportRow]] = []
    while level and len(levels) < LEVELS_MAX:
        levels.append([items[number] for number in level])
        following = []
        for number in level:
            for follower in followers.get(number, ()):
                waits[follower] -= 1
                if waits[follower] == 0:
                    following.append(follower)
        level = sorted(following)
    beyond = set(level)
    return levels, [item for number, item in enumerate(items) if waits[number] or number in beyond]


def find_circles(items: list[ImportRow]) -> list[ImportRow]:
    """Returns those of ``items`` that refer to each other in circles, without the rows that only hang on these."""
    users = Counter(source for item in items for source in {item.parent, item.series})
    by_source: dict[str, list[ImportRow]] = {}
    for item in items:
        by_source.setdefault(item.source, []).append(item)
    loose = [source for source in by_source if not users[source]]
    while loose:
        for item in by_source.pop(loose.pop()):
            for source in {item.parent, item.series} - {None}:
                users[source] -= 1
                if not users[source] and source in by_source:
                    loose.append(source or "")
    return [item for same in by_source.values() for item in same]
