"""Errors of comments."""

from app.errors.kinds import NotFound


class CommentNotFound(NotFound):
    code, message = "comment_not_found", "Comment not found"
