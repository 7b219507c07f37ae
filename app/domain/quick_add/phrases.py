"""Finding the phrases of a text, each checked against the words around it.

Most wrong readings are correct phrases in the wrong context: "notes from monday", "the 1st chapter", "Monday meeting
notes", "today or tomorrow". So a phrase counts only when

- no word before it makes it a part of something else (from, until, the, or ...), and no list continues after it;
- one that may describe a noun (a weekday, a date, a time, "daily") is followed by the end, punctuation, another phrase
  or a word that cannot be that noun (about, with ...). At the beginning of the text its own "on" or "by" is enough.

The text is read from its end, as each phrase depends on the words after it.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from app.domain.quick_add.days import DUE_DAY_PHRASES, Day, is_dayish
from app.domain.quick_add.grammar import Grammar, Reading
from app.domain.quick_add.marks import Mark, find_mark
from app.domain.quick_add.reminders import REMIND_PHRASES, Reminder
from app.domain.quick_add.repeats import REPEAT_PHRASES
from app.domain.quick_add.series import Bound, Repeat, Start
from app.domain.quick_add.text import is_mark
from app.domain.quick_add.times import TIME_PHRASES, Clock, Part, is_clockish
from app.domain.quick_add.words import DAY_PARTS, ORDINAL_WORDS, UNIT_WORDS, nth_day, words

PHRASE_GRAMMARS = (DUE_DAY_PHRASES, REPEAT_PHRASES, TIME_PHRASES)
Meaning: TypeAlias = Mark | Day | Clock | Part | Repeat | Start | Bound | Reminder

_CONNECTING_WORDS = words(
    "a about after almost an and are around as before between but during each every except excluding for from hardly"
    " her his is it's its last like my nearly not of or other our over past per since than that the their this thru"
    " through till til to under until vs was were your yesterday & ~ + /"
)
_BEFORE_DAY = _CONNECTING_WORDS | words("at beginning by due ending next on start starts starting begin begins")
_BEFORE_NAMED = ORDINAL_WORDS.keys() | words(
    "ash bloody blue black casual cyber easter freaky gloomy good holy maundy palm ruby shrove super whit"
    " i we you they he she it who"
)
_BEFORE_CLOCK = _CONNECTING_WORDS | words("at by")
# "Ask Bob to remind me at 5pm" is no reminder of this task.
_BEFORE_REMINDER = words(
    "a an always and can could cannot can't did didn't do does doesn't don't have he help i if it let let's lets make"
    " may me might must never not or shall she should that the they to used we what when which who will won't would you"
)
_AFTER_REMINDER = words("because please so to")
_BEFORE_REPEAT = _CONNECTING_WORDS | words("on twice times")
_VERB_WORDS = words("is isn't are aren't was wasn't were will won't has had should would")  # "every day is a gift"
_JOINING_WORDS = words("and or to through thru until till til vs & - – — / + ,")  # noqa: RUF001
_WORDS_AFTER = words(
    "about after again and as at because before but by for if in instead near on or please re regarding so that then"
    " too unless via when while with without"
)
_NO_CAPITALS = words("today tomorrow tonight") | UNIT_WORDS.keys()
_LEADING_MARKS = words(", : ; - – —")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Phrase:
    """The words from ``first`` up to ``end``, and their meaning."""

    first: int
    end: int
    meaning: Meaning


def find_phrases(reading: Reading) -> list[Phrase]:
    """Returns the phrases in their order, without overlaps."""
    found: dict[int, Phrase] = {}
    owners: dict[int, int] = {}
    is_reminded = any(token.text in {"remind", "before"} for token in reading.tokens)
    grammars = (*PHRASE_GRAMMARS, REMIND_PHRASES) if is_reminded else PHRASE_GRAMMARS
    for index in reversed(range(len(reading.tokens))):
        for phrase in _candidates(reading, index, grammars):
            last_owner = owners.get(phrase.end - 1)
            cuts_another = last_owner is not None and owners.get(phrase.end) == last_owner
            if not cuts_another and _fits(reading, phrase, found):
                for covered in range(index, phrase.end):
                    found.pop(covered, None)
                    owners[covered] = index
                found[index] = phrase
                break
    return in_context(reading, found.values())


def in_context(reading: Reading, phrases: Iterable[Phrase]) -> list[Phrase]:
    """Returns the phrases that are still valid when there are no others than these."""
    kept: dict[int, Phrase] = {}
    for phrase in sorted(phrases, key=lambda phrase: -phrase.first):
        if _fits(reading, phrase, kept):
            kept[phrase.first] = phrase
    return list(reversed(kept.values()))


def _candidates(reading: Reading, index: int, grammars: Sequence[Grammar]) -> Iterator[Phrase]:
    """Yields the phrases that begin at ``index``, the longest first."""
    if not reading.word(index)[:1].isalnum() and reading.word(index)[:1] not in {"#", "@"}:
        return
    if mark := find_mark(reading, index):
        yield Phrase(index, index + 1, mark)
    found = [phrase for grammar in grammars for phrase in grammar.find(reading, index)]
    for end, meaning in sorted(found, key=lambda phrase: -phrase[0]):
        yield Phrase(index, end, meaning)


def begins_task(reading: Reading, phrase: Phrase, start: Start, following: dict[int, Phrase]) -> bool:
    """Returns whether "starting monday" is about the task, and not a part of its title ("Start on monday with ...")."""
    end, before = phrase.end, reading.word(phrase.first - 1)
    if before in _BEFORE_REMINDER or before.endswith("n't") or reading.word(end) in _VERB_WORDS:
        return False
    if end not in following and _is_listed(reading, Phrase(phrase.first, end, start.day), following):
        return False
    if phrase.first == 0:  # else nothing would be left, or an instruction without its verb
        return reading.word(end) in _LEADING_MARKS
    if end >= len(reading.tokens) or is_mark(reading.tokens[end]) or reading.word(end)[:1] in {"#", "@"}:
        return True
    return end in following or reading.word(end) in _WORDS_AFTER


def _fits(reading: Reading, phrase: Phrase, following: dict[int, Phrase]) -> bool:
    if isinstance(phrase.meaning, Reminder):
        return _is_reminder(reading, phrase, phrase.meaning, following)
    if isinstance(phrase.meaning, Mark | Bound | Start):
        return not isinstance(phrase.meaning, Bound) or reading.word(phrase.end) not in {"a", "an", "per", "each"}
    if (
        reading.word(phrase.end) in _VERB_WORDS
        or _belongs_to_words_before(reading, phrase)
        or _is_a_name(reading, phrase)
    ):
        return False
    if phrase.end not in following and _is_listed(reading, phrase, following):
        return False
    return not _may_describe(phrase.meaning) or _ends_well(reading, phrase, following)


def _is_reminder(reading: Reading, phrase: Phrase, reminder: Reminder, following: dict[int, Phrase]) -> bool:
    """Returns whether it is said to this task ("remind me at 5pm"), not told of somebody."""
    end, before = phrase.end, reading.word(phrase.first - 1)
    if not reminder.continues and (before in _BEFORE_REMINDER or before.endswith(("'ll", "'d", "n't"))):
        return False
    if any(reading.raw(index) == "Me" for index in range(phrase.first, end)):
        return False  # a title
    if reminder.opens:  # more follows: the title
        return end < len(reading.tokens) and _begins_text(reading, phrase)
    if end >= len(reading.tokens) or end in following or reading.word(end)[:1] in {"#", "@"}:
        return True
    if reading.word(end) == "," and end + 1 in following:
        return True
    if reading.word(end) in _JOINING_WORDS and (is_clockish(reading, end + 1) or is_dayish(reading, end + 1)):
        return False
    return is_mark(reading.tokens[end]) or (reading.word(end) in _AFTER_REMINDER and not reminder.is_bare)


def _belongs_to_words_before(reading: Reading, phrase: Phrase) -> bool:
    word, meaning, before = reading.word(phrase.first - 1), phrase.meaning, phrase.first - 2
    if isinstance(meaning, Day):
        if meaning.named and (word in _BEFORE_NAMED or nth_day(reading, phrase.first - 1)):
            return True
        is_listed = word in _JOINING_WORDS and reading.word(phrase.first) != "due" and is_dayish(reading, before)
        return word in _BEFORE_DAY or is_listed
    if isinstance(meaning, Clock):
        return word in _BEFORE_CLOCK or (word in _JOINING_WORDS and _ends_in_clock(reading, before))
    return isinstance(meaning, Repeat) and word in _BEFORE_REPEAT


def _is_a_name(reading: Reading, phrase: Phrase) -> bool:
    """Returns whether unusual capitals make it a name: "USA Today", "Around the World in 80 Days"."""
    if not isinstance(phrase.meaning, Day) or phrase.first == 0 or not reading.raw(phrase.first - 1)[0].isupper():
        return False
    return any(
        reading.word(index) in _NO_CAPITALS and reading.raw(index).istitle()
        for index in range(phrase.first, phrase.end)
    )


def _ends_in_clock(reading: Reading, index: int) -> bool:
    """Returns whether a time ends here: ``at 9`` or ``9am``, not the 1 of ``Dec 1``."""
    word = reading.word(index)
    return is_clockish(reading, index) and (not word.isdigit() or reading.word(index - 1) in {"at", "by"})


def _is_listed(reading: Reading, phrase: Phrase, following: dict[int, Phrase]) -> bool:
    """Returns whether more of its kind follow: "today or tomorrow", "at 9, 10 and 11", "an hour and a half"."""
    word = reading.word(phrase.end)
    if word not in _JOINING_WORDS or isinstance(phrase.meaning, Part) or (word == "," and phrase.end + 1 in following):
        return False
    after = phrase.end + (2 if reading.word(phrase.end + 1) in {"and", "or", "also"} else 1)
    if [reading.word(phrase.end), reading.word(after), reading.word(after + 1)] == ["and", "a", "half"]:
        return True
    return (is_clockish if isinstance(phrase.meaning, Clock) else is_dayish)(reading, after)


def _may_describe(meaning: Meaning) -> bool:
    """Returns whether it may describe a noun, as in "Monday meeting"; "in 3 days" cannot."""
    if isinstance(meaning, Day):
        return meaning.named
    return isinstance(meaning, Clock | Part) or (isinstance(meaning, Repeat) and meaning.weak)


def _ends_well(reading: Reading, phrase: Phrase, following: dict[int, Phrase]) -> bool:
    end = phrase.end
    if isinstance(phrase.meaning, Day | Repeat) and end not in following and reading.word(end) in DAY_PARTS:
        end += 1  # "monday morning" is Monday even where the morning is not understood
    word, is_introduced = reading.word(end), reading.word(phrase.first) in {"on", "by", "due"}
    if end >= len(reading.tokens) or end in following or word[:1] in {"#", "@"}:
        return True
    if phrase.first == 0 and isinstance(phrase.meaning, Day):
        return is_introduced or word in _LEADING_MARKS
    if isinstance(phrase.meaning, Clock) and _opens_the_text(reading, phrase, phrase.meaning):
        return True
    return word in _WORDS_AFTER or is_mark(reading.tokens[end])


def _opens_the_text(reading: Reading, phrase: Phrase, clock: Clock) -> bool:
    """Returns whether a time begins the text: "At 9am call mom", but not "tomorrow at 10 Downing Street"."""
    if reading.word(phrase.first) not in {"at", "by"}:
        return False
    if phrase.first == 0:
        return not clock.loose
    return _begins_text(reading, phrase) and not (clock.loose and reading.raw(phrase.end)[:1].isupper())


def _begins_text(reading: Reading, phrase: Phrase) -> bool:
    """Returns whether there is at most a day or a recurrence before it."""
    return phrase.first == 0 or any(
        phrase.first == end for grammar in (DUE_DAY_PHRASES, REPEAT_PHRASES) for end, _ in grammar.find(reading, 0)
    )
