"""Subjects and texts of the mails about accounts."""

from datetime import timedelta

from app.config import Settings

RESET_LIFE = timedelta(hours=1)
EMAIL_CHANGE_LIFE = timedelta(days=1)
Text = tuple[str, str]


def reset_page(settings: Settings) -> str:
    """Returns the URL of the page for reset mails; empty if there is none that a mail can name."""
    return settings.reset_url or _client_page(settings, "reset")


def _client_page(settings: Settings, name: str) -> str:
    return f"{settings.public_base}/app#/{name}" if settings.public_base and settings.web_client else ""


def _with_token(url: str, token: str) -> str:
    return f"{url}{'&' if '?' in url else '?'}token={token}"


def _token_instructions(settings: Settings, token: str) -> str:
    if page := reset_page(settings):
        return f"Open this link within an hour:\n\n{_with_token(page, token)}"
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
    if page := settings.confirm_url or _client_page(settings, "confirm"):
        instructions = f"Open this link within a day:\n\n{_with_token(page, token)}"
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


def provider_linked(name: str) -> Text:
    return "A way to log in was added", (
        f"Your account can now be opened by signing in with {name}. If that was not you, remove it, change your"
        " password, and tell the operator of this service.\n"
    )


def factor_added(name: str) -> Text:
    return "A second factor was added", (
        f"Your account now has {name} as a second factor, and other sessions were ended. If that was not you, change"
        " your password, and tell the operator of this service.\n"
    )


def factor_removed(name: str) -> Text:
    return "A second factor was removed", (
        f"Your account no longer has {name} as a second factor. If that was not you, change your password, and set it"
        " up again.\n"
    )


def recovery_code_used() -> Text:
    return "A recovery code was used", (
        "A recovery code of your account was used in place of its second factor. If that was not you, change your"
        " password, make new recovery codes, and tell the operator of this service.\n"
    )


def recovery_codes_renewed() -> Text:
    return "New recovery codes were made", (
        "The recovery codes of your account were replaced by new ones. If that was not you, change your password, and"
        " tell the operator of this service.\n"
    )
