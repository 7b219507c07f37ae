"""The rule of user ids, for subjects of tokens, paths and imports."""

USER_ID_MAX = 255  # characters


def is_user_id(text: str) -> bool:
    """Returns whether ``text`` can be used in a path, in a log line and as an owner of rows."""
    return 0 < len(text) <= USER_ID_MAX and text.isprintable()
