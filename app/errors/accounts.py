"""Errors of authentication, authorization and accounts."""

from collections.abc import Sequence
from typing import Any

from app.errors.kinds import AppError, Conflict, ErrorKind, Invalid, NotFound


class TokenMissing(AppError):
    kind, code = ErrorKind.UNAUTHENTICATED, "token_missing"
    message = "Authentication required: send 'Authorization: Bearer <token>'."


class TokenNotBearer(AppError):
    kind, code = ErrorKind.UNAUTHENTICATED, "token_not_bearer"
    message = "The Authorization header must be 'Bearer <token>'."


class TokenExpired(AppError):
    kind, code, message = ErrorKind.UNAUTHENTICATED, "token_expired", "The token has expired: get a new one."


class TokenInvalid(AppError):
    kind, code, message = ErrorKind.UNAUTHENTICATED, "token_invalid", "The token is not valid here."


class SessionEnded(AppError):
    kind, code, message = ErrorKind.UNAUTHENTICATED, "session_ended", "This session has ended: log in again."


class LoginFailed(AppError):
    """An unknown e-mail and a wrong password get this one error, so that it does not disclose who has an account."""

    kind, code, message = (
        ErrorKind.UNAUTHENTICATED,
        "login_failed",
        "Invalid email or password: one is incorrect.",
    )


class WrongPassword(AppError):
    """The caller is logged in: 403, because a 401 would make clients discard the session."""

    kind, code, message = ErrorKind.FORBIDDEN, "wrong_password", "The current password is wrong."


class RefreshTokenMissing(AppError):
    kind, code, message = ErrorKind.UNAUTHENTICATED, "refresh_token_missing", "Send the refresh token."


class RefreshTokenInvalid(AppError):
    kind, code = ErrorKind.UNAUTHENTICATED, "refresh_token_invalid"
    message = "The refresh token is not valid (any more): log in again."


class RefreshInProgress(AppError):
    kind, code = ErrorKind.CONFLICT, "refresh_in_progress"
    message = "Another request is using this refresh token right now: use its response, or try again."


class ResetTokenInvalid(AppError):
    kind, code = ErrorKind.INVALID, "reset_token_invalid"
    message = "The reset token is not valid (any more): ask for a new mail."


class EmailTokenInvalid(AppError):
    kind, code = ErrorKind.INVALID, "email_token_invalid"
    message = "The token is not valid (any more): change the e-mail again to get a new mail."


class WeakPassword(AppError):
    kind, code = ErrorKind.INVALID, "weak_password"
    message = "This is one of the most common passwords: choose another."


class EmailTaken(AppError):
    kind, code, message = ErrorKind.CONFLICT, "email_taken", "There is an account with this e-mail already."


class AccountDisabled(AppError):
    kind, code, message = ErrorKind.FORBIDDEN, "account_disabled", "This account has been disabled."


class RegistrationClosed(AppError):
    kind, code, message = ErrorKind.FORBIDDEN, "registration_closed", "Only the operator creates accounts here."


class OriginRefused(AppError):
    kind, code = ErrorKind.FORBIDDEN, "origin_refused"
    message = "This site may not use the refresh cookie: its Origin is not allowed here."


class InsufficientScope(AppError):
    kind, code = ErrorKind.FORBIDDEN, "insufficient_scope"
    message = "This token may only read."


class LoginRequired(AppError):
    kind, code = ErrorKind.FORBIDDEN, "login_required"
    message = "This needs the access token of a login, not an API token or another issuer's token."


class TooManyAttempts(AppError):
    kind, code, message = ErrorKind.RATE_LIMITED, "too_many_attempts", "Too many wrong attempts: wait and try again."


class AccountNotFound(NotFound):
    code, message = "account_not_found", "There is no account for this user here."


class UnknownTimeZone(Invalid):
    """The operating system knows this name, the time zone list of the database does not have it."""

    code, message = "unknown_time_zone", "The database does not know this time zone: set another one."


class ConnectedAppNotFound(NotFound):
    code, message = "app_not_found", "Connected app not found"


class SessionNotFound(NotFound):
    code, message = "session_not_found", "Session not found"


class ApiTokenNotFound(NotFound):
    code, message = "api_token_not_found", "API token not found"


class KeysUnavailable(AppError):
    kind, code = ErrorKind.UNAVAILABLE, "keys_unavailable"
    message = "The key of this token is not known here yet: try again."


class AccountsUnavailable(AppError):
    kind, code = ErrorKind.UNAVAILABLE, "accounts_unavailable"
    message = "This service has no key to sign tokens with: its operator must set JWT_SECRET or JWT_PRIVATE_KEY."


class MailUnavailable(AppError):
    kind, code = ErrorKind.UNAVAILABLE, "mail_unavailable"
    message = "This service cannot send mail: its operator must set SMTP_URL."


class GuessedElsewhere(TooManyAttempts):
    """Refused because of failed logins from other IP addresses, and none from this one."""


class SecondFactorRequired(AppError):
    """``challenge`` continues a login; without one the caller is logged in, and proves the factor again.

    ``methods``: what the account has, any of which will do. 403, because a 401 would make clients discard the session.
    """

    kind, code = ErrorKind.FORBIDDEN, "second_factor_required"
    message = "A second factor is needed: a passkey, a code of the authenticator app, or a recovery code."

    def __init__(self, methods: Sequence[str] = (), challenge: str | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.methods, self.challenge = methods, challenge


class SecondFactorWrong(AppError):
    kind, code = ErrorKind.FORBIDDEN, "second_factor_wrong"
    message = "The code is wrong, too old, or was used already."


class LoginChallengeInvalid(AppError):
    kind, code = ErrorKind.UNAUTHENTICATED, "login_challenge_invalid"
    message = "This login is too old or was finished already: log in again."


class TotpActive(Conflict):
    code, message = "totp_active", "An authenticator app is set up already: turn it off before you set up another."


class TotpNotBegun(Conflict):
    code, message = "totp_not_begun", "There is no set-up to confirm, or it is too old: begin again."


class FactorNotFound(NotFound):
    code, message = "factor_not_found", "This account has no such second factor."


class PasskeysUnavailable(NotFound):
    code = "passkeys_unavailable"
    message = "There are no passkeys here: the operator must set PUBLIC_URL to an https address with a host name."


class PasskeyRefused(AppError):
    """A passkey that is not known here, answers another question, or does not prove that it is what it says."""

    kind, code = ErrorKind.FORBIDDEN, "passkey_refused"
    message = "The passkey was not accepted: try again, or log in another way."


class PasskeyNotFound(NotFound):
    code, message = "passkey_not_found", "Passkey not found"


class PasskeyExists(Conflict):
    code, message = "passkey_exists", "This passkey is registered already."


class TooManyPasskeys(Conflict):
    code, message = "too_many_passkeys", "This account has the maximum number of passkeys: delete one first."
