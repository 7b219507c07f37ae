"""Subjects and texts of the mails about accounts."""

from datetime import timedelta

from app.config import Settings

RESET_LIFE = timedelta(hours=1)
EMAIL_CHANGE_LIFE = timedelta(days=1)
Text = tuple[str, str]


def _with_token(url: str, token: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}token={token}"


def _token_instructions(settings: Settings, token: str) -> str:
    if settings.reset_url:
        return f"Open this link within an hour:\n\n{_with_token(settings.reset_url, token)}"
    return (
        "Within an hour send this token with your new password to POST"
        f" {settings.public_base}/api/auth/password/reset:\n\n{token}"
    )


def reset(settings: Settings, token: str) -> Text:
    return "Choose a new password", (
        f"Someone, hopefully you, asked for a new password.\n\n{_token_instructions(settings, token)}\n\n"
        "If it was not you, nothing has changed and you need not do anything.\n"
    )


def confirm(settings: Settings, token: str) -> Text:
    return "Confirm your account", (
        f"Welcome. Choose your password to confirm that this is your address.\n\n"
        f"{_token_instructions(settings, token)}\n\n"
        "If you did not register, you need not do anything.\n"
    )


def already_registered(settings: Settings) -> Text:
    return "You have an account already", (
        "Someone, hopefully you, registered with this address. It has an account already: log in,"
        " or ask for a new password if you have forgotten yours.\n"
    )


def confirm_email(settings: Settings, token: str) -> Text:
    if settings.confirm_url:
        instructions = f"Open this link within a day:\n\n{_with_token(settings.confirm_url, token)}"
    else:
        url = f"{settings.public_base}/api/auth/email/confirm"
        instructions = f"Within a day send this token to POST {url}:\n\n{token}"
    return "Confirm your new e-mail address", (
        f"Someone, hopefully you, wants to use this address for an account.\n\n{instructions}\n\n"
        "If it was not you, do not confirm it: the account belongs to someone else.\n"
    )


def email_taken() -> Text:
    return "You have an account already", (
        "Someone, hopefully you, wanted to move another account to this address. It has an account already, so"
        " nothing has changed.\n"
    )


def email_changed(new: str) -> Text:
    return "Your e-mail address was changed", (
        f"Your account now belongs to {new}. If that was not you, tell the operator of this service.\n"
    )


def password_changed() -> Text:
    return "Your password was changed", (
        "Your password was changed, and every session was ended. If that was not you, ask for a new password.\n\n"
        "API tokens still work: end those that you do not know.\n"
    )
