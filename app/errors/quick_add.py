"""Errors of quick add."""

from app.errors.kinds import Invalid


class EmptyTitle(Invalid):
    """Every word was understood as a date, a tag or the like: "tomorrow #home"."""

    code, message = "empty_title", "The text has no title besides the parts that were understood."


class QuickAddInvalid(Invalid):
    """The task would not be valid: its title or the name of its project is too long, for example."""

    code, message = "quick_add_invalid", "The text does not make a valid task."
