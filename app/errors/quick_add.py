"""Errors of a line of text that is to become a task."""

from app.errors.kinds import Invalid


class EmptyTitle(Invalid):
    """Everything was understood and nothing left to do: "tomorrow #home"."""

    code, message = "empty_title", "The text has no title beside what was understood."


class QuickAddInvalid(Invalid):
    """What was understood is no task that can be: a title or a name that is too long."""

    code, message = "quick_add_invalid", "The text makes no acceptable task."
