"""Searching: every word, in any case and with any accents, in title, tags, description or the comments.

No index can find a word: under row-level security only leakproof operators may be index conditions, and neither LIKE
nor the operators of full-text search and of pg_trgm are. So the owner's tasks are scanned, by a column that holds the
folded text, and which an index also holds; as a filter, from the newest on, until the page is full. unaccent is not
immutable, which that column needs, and ``search_fold`` does what it would; hence no extension is used
(``bench/search.py`` has the figures).
"""

from typing import Any

from sqlalchemy import ARRAY, BigInteger, Text, and_, bindparam, case, cast, func, literal_column, or_, select

from app.db.changes import OWNER
from app.models.comments import COMMENTS
from app.models.tasks import TASKS

SEARCH_WORDS = bindparam("words", type_=ARRAY(Text()))
_word: Any = func.unnest(SEARCH_WORDS).column_valued("word")


def _pattern(word: Any, before: str, after: str) -> Any:
    # Folded before it is escaped: folding makes "%" of its full-width form.
    escaped = func.regexp_replace(
        func.search_fold(word), literal_column(r"'([\\%_])'"), literal_column(r"'\\\1'"), literal_column("'g'")
    )
    return literal_column(f"E'%{before}'").concat(escaped).concat(literal_column(f"E'{after}%'"))


def _all(before: str, after: str) -> Any:
    """Returns each word in a pattern; as a sub-select without a table it is computed once a statement."""
    return func.all(_patterns(before, after))


def _patterns(before: str, after: str) -> Any:
    return func.array(select(_pattern(_word, before, after)).scalar_subquery())


def _has(text: Any, patterns: Any) -> Any:
    return text.op("like")(patterns)


_text = TASKS.c.search_text
LIVE_COMMENTS = (COMMENTS.c.user_id == OWNER, COMMENTS.c.deleted_at.is_(None))
# Read once a statement; few tasks have a word in a comment, and only they are looked at with their comments.
_commented = select(COMMENTS.c.task_id).where(*LIVE_COMMENTS, _has(COMMENTS.c.search_text, func.any(_patterns("", ""))))
_comments = (
    select(func.string_agg(COMMENTS.c.search_text, literal_column("' '")))
    .where(*LIVE_COMMENTS, COMMENTS.c.task_id == TASKS.c.id)
    .correlate(TASKS)
    .scalar_subquery()
)
# Behind coalesce() the planner expects every second task, and not none: it walks along the order asked for.
MATCHES_SEARCH = func.coalesce(
    or_(
        _has(_text, _all("", "")),
        and_(TASKS.c.id.in_(_commented), _has(_text.concat(_comments), _all("", ""))),
    ),
    literal_column("false"),
)

# Where all words are found: the separators of search_text say it. Ties go to the task that was created later.
_rank: Any = case(
    (_has(_text, _all(" ", r"%\x01")), 5),  # words of the title, or how they begin
    (_has(_text, _all("", r"%\x01")), 4),  # anywhere in the title
    (_has(_text, _all("", r"%\x02")), 3),  # in title and tags
    (_has(_text, _all(" ", "")), 2),  # with the description, at the beginning of words
    (_has(_text, _all("", "")), 1),
    else_=0,  # with the comments
)
_microseconds = cast(func.date_part("epoch", TASKS.c.created_at) * literal_column("1000000"), BigInteger)
SEARCH_RELEVANCE = _rank * literal_column("10000000000000000") + _microseconds


def has_word(word: Any, before: str = "", after: str = "") -> Any:
    """Returns whether a word or phrase is in the text of a task, between the separators in ``before`` and ``after``."""
    return _has(_text, select(_pattern(word, before, after)).scalar_subquery())


def has_word_anywhere(word: Any) -> Any:
    """Returns what MATCHES_SEARCH does of one word or phrase."""
    pattern = select(_pattern(word, "", "")).scalar_subquery()
    commented = select(COMMENTS.c.task_id).where(*LIVE_COMMENTS, _has(COMMENTS.c.search_text, pattern))
    return func.coalesce(or_(_has(_text, pattern), TASKS.c.id.in_(commented)), literal_column("false"))


_separators = {1: " ", 2: " "}  # of search_text, which stores a space for one that a user writes


def words_of(search: str | None) -> list[str]:
    return list(dict.fromkeys(search.translate(_separators).split())) if search else []
