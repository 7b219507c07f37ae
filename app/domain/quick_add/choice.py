"""The choice among the phrases found. Where two readings are possible, none is used: the words stay in the title."""

import re
from collections.abc import Iterable, Sequence
from typing import TypeVar

from app.domain.quick_add.days import MINUTE_WORDS, Day, is_dayish
from app.domain.quick_add.grammar import Reading
from app.domain.quick_add.marks import Mark
from app.domain.quick_add.phrases import Phrase, begins_task, find_phrases, in_context
from app.domain.quick_add.reminders import Reminder
from app.domain.quick_add.repeats import EVERY_WORDS
from app.domain.quick_add.series import Bound, Repeat, Start
from app.domain.quick_add.times import Clock, Part
from app.domain.quick_add.words import AMBIGUOUS_WEEKDAYS, DAY_PARTS, NUMBER_WORDS, UNIT_WORDS, WEEKDAY_NAMES, words
from app.domain.recurrence.rule import Frequency
from app.models.task_fields import TAGS_MAX

T = TypeVar("T")
_NOT_FOREVER = words("except excluding but unless until till til start starting beginning ending this")
_PREPOSITION_WORDS = words("after around at before between by during from in of on")
_AFTER_EVERY = words("other weekday weekdays weekend weekends second third !") | {
    *UNIT_WORDS,
    *MINUTE_WORDS,
    *DAY_PARTS,
    *NUMBER_WORDS,
}
_UNREAD_DAY_WORDS = words("today tomorrow tonight yesterday weekend") | (WEEKDAY_NAMES.keys() - AMBIGUOUS_WEEKDAYS)
_WRITTEN_DATE = re.compile(r"[0-9]{1,4}([/.-])[0-9]{1,2}(\1[0-9]{1,4})?")


def of_kind(phrases: Iterable[Phrase], kind: type[T]) -> list[tuple[Phrase, T]]:
    return [(phrase, phrase.meaning) for phrase in phrases if isinstance(phrase.meaning, kind)]


def choose(reading: Reading) -> list[Phrase]:
    """Returns the phrases to use: at most one day, time, recurrence, project and priority; of others several."""
    phrases = find_phrases(reading)
    marks = _marks([phrase for phrase in phrases if isinstance(phrase.meaning, Mark)])
    phrases = [phrase for phrase in phrases if not isinstance(phrase.meaning, Mark) or phrase in marks]
    phrases = _with_company(reading, phrases)
    if _is_unclear(reading, phrases):
        return [phrase for phrase in phrases if isinstance(phrase.meaning, Mark | Reminder)]
    if len(of_kind(phrases, Clock)) > 1 or len(of_kind(phrases, Part)) > 1:
        phrases = [phrase for phrase in phrases if not isinstance(phrase.meaning, Clock | Part)]
    return _with_company(reading, phrases)


def _marks(marks: Sequence[Phrase]) -> list[Phrase]:
    """Returns the last project and priority, as with options of a command, and as many tags as a task can have."""
    last = {phrase.meaning.field: phrase for phrase in marks if isinstance(phrase.meaning, Mark)}
    tags: list[str] = []
    kept: list[Phrase] = []
    for phrase, mark in of_kind(marks, Mark):
        if mark.field == "tags" and mark.value not in tags:
            tags.append(mark.value)
        if mark.value in tags[:TAGS_MAX] if mark.field == "tags" else last[mark.field] == phrase:
            kept.append(phrase)
    return kept


def _with_company(reading: Reading, phrases: list[Phrase]) -> list[Phrase]:
    """Drops phrases that need another one: "until friday" bounds a recurrence, "sat" and "9:30" need each other."""
    while True:
        is_repeating = bool(of_kind(phrases, Repeat))
        kept = [
            phrase
            for index, phrase in enumerate(phrases)
            if _has_company(reading, phrases, index)
            and (is_repeating or not isinstance(phrase.meaning, Bound))
            and (not isinstance(phrase.meaning, Start) or _is_start(reading, phrases, phrase, phrase.meaning))
        ]
        kept = in_context(reading, kept)
        if kept == phrases:
            return kept
        phrases = kept


def _is_start(reading: Reading, phrases: Sequence[Phrase], phrase: Phrase, start: Start) -> bool:
    """Returns whether a recurrence begins on that day, or the task then.

    "from monday" needs a recurrence, a due date, or to be certainly in the future.
    """
    if of_kind(phrases, Repeat):
        return start.day.at is None
    if start.loose and reading.word(phrase.first + 1) != "next" and not of_kind(phrases, Day):
        return False
    return begins_task(reading, phrase, start, {other.first: other for other in phrases})


def _has_company(reading: Reading, phrases: Sequence[Phrase], index: int) -> bool:
    phrase, meaning = phrases[index], phrases[index].meaning
    before = _neighbour(reading, phrases, index, -1)
    after = _neighbour(reading, phrases, index, 1)
    if isinstance(meaning, Day) and meaning.needs_clock:
        return isinstance(after, Clock) and reading.word(phrase.end)[:1].isdigit()
    if isinstance(meaning, Clock) and meaning.needs_day:
        return isinstance(before, Day | Repeat | Part) or isinstance(after, Day | Repeat)
    if isinstance(meaning, Part):
        return isinstance(before, Day | Repeat | Clock) and bool(of_kind(phrases, Clock))
    if isinstance(meaning, Reminder) and meaning.continues:
        return isinstance(before, Reminder | Clock | Day | Part)
    if isinstance(meaning, Bound) and meaning.is_counted:
        return _follows_repeat(reading, phrases, index)
    return True


def _follows_repeat(reading: Reading, phrases: Sequence[Phrase], index: int) -> bool:
    """Returns whether "5 times" or "for 2 weeks" directly follows a recurrence and the phrases that belong to it."""
    while isinstance(before := _neighbour(reading, phrases, index, -1), Clock | Part | Start | Bound):
        index -= 1
    return isinstance(before, Repeat)


def _neighbour(reading: Reading, phrases: Sequence[Phrase], index: int, step: int) -> object:
    """Returns the meaning of the adjacent phrase, with at most a comma between."""
    if not 0 <= index + step < len(phrases):
        return None
    left, right = sorted((phrases[index], phrases[index + step]), key=lambda phrase: phrase.first)
    gap = right.first - left.end
    is_next = gap == 0 or (gap == 1 and reading.word(left.end) == ",")
    return phrases[index + step].meaning if is_next else None


def _is_unclear(reading: Reading, phrases: Sequence[Phrase]) -> bool:
    days, repeats = of_kind(phrases, Day), of_kind(phrases, Repeat)
    starts = len(of_kind(phrases, Start))
    if len(days) + (starts if repeats else 0) > 1 or max(starts, len(repeats), len(of_kind(phrases, Bound))) > 1:
        return True
    taken = {index for phrase in phrases for index in range(phrase.first, phrase.end)}
    unread = [index for index in range(len(reading.tokens)) if index not in taken]
    if any(_is_unread_every(reading, index) for index in unread):
        return True
    if any(_lists_days(reading, _group_end(phrases, phrase)) for phrase, _ in (*days, *repeats)):
        return True
    if repeats:  # a day after a recurrence could be its start, its end or one of its days
        return bool(days and days[0][0].first > repeats[0][0].first) or _continues(reading, phrases, *repeats[0])
    return not days and any(_is_day_word(reading.word(index)) for index in unread)


def _group_end(phrases: Sequence[Phrase], phrase: Phrase) -> int:
    """Returns the end of the row of adjacent phrases that contains ``phrase``."""
    ends = {phrase.first: phrase.end for phrase in phrases if not isinstance(phrase.meaning, Mark)}
    end = phrase.end
    while end in ends:
        end = ends[end]
    return end


def _lists_days(reading: Reading, end: int) -> bool:
    """Returns whether another day is listed, as in "monday at 9 and friday"."""
    return reading.word(end) in {"and", "or", "&", "to", "through"} and is_dayish(reading, end + 1)


def _is_unread_every(reading: Reading, index: int) -> bool:
    """Returns whether a recurrence was not understood ("every 4 hours"): a day or time alone would be half of it."""
    if reading.word(index) not in EVERY_WORDS:
        return False
    word = reading.word(index + 1)
    return word in _AFTER_EVERY or word[:1].isdigit() or (word in WEEKDAY_NAMES and is_dayish(reading, index + 1))


def _continues(reading: Reading, phrases: Sequence[Phrase], phrase: Phrase, repeat: Repeat) -> bool:
    """Returns whether words follow that change the rule: "every day except ...", "weekly on the 1st"."""
    end = _group_end(phrases, phrase)
    if reading.word(end) == ",":
        end += 1
    if reading.word(end) in _NOT_FOREVER:
        return True
    is_long = repeat.plain and repeat.rule.frequency in {Frequency.MONTHLY, Frequency.YEARLY}
    return reading.word(end) in _PREPOSITION_WORDS and (is_long or is_dayish(reading, end + 1))


def _is_day_word(word: str) -> bool:
    """Returns whether a day was not understood: a time next to it must not become one of today."""
    word = word.removesuffix("'s")
    return (
        word in _UNREAD_DAY_WORDS or word.removesuffix("s") in _UNREAD_DAY_WORDS or bool(_WRITTEN_DATE.fullmatch(word))
    )
