"""What a user id may be, wherever it comes from: a token's subject, a path, an import."""

USER_ID_MAX = 255  # characters


def is_user_id(text: str) -> bool:
    """Returns whether ``text`` can stand in a path, in a log line and as an owner of rows."""
    return 0 < len(text) <= USER_ID_MAX and text.isprintable()
