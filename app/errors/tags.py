"""Errors of tags."""

from app.errors.kinds import Conflict, NotFound


class TagNotFound(NotFound):
    code, message = "tag_not_found", "No task has this tag."


class TooManyTagColors(Conflict):
    code, message = "too_many_tag_colors", "This user has the maximum number of tags with a colour."


class TagExists(Conflict):
    code, message = "tag_exists", "There is a tag with this name already: send merge=true to merge them."
