"""Errors of signing in with a provider of OpenID Connect, and of the links to one."""

from app.errors.kinds import AppError, Conflict, ErrorKind, NotFound


class ProviderNotFound(NotFound):
    code, message = "provider_not_found", "There is no such sign-in provider here."


class ProviderUnavailable(AppError):
    kind, code = ErrorKind.BAD_GATEWAY, "provider_unavailable"
    message = "The provider cannot be reached, or its response cannot be used: try again, or log in another way."


class SignInExpired(AppError):
    """A state that is unknown, was used already, or belongs to another browser."""

    kind, code = ErrorKind.FORBIDDEN, "sign_in_expired"
    message = "This sign-in is too old, was used already, or began in another browser: begin again."


class SignInRefused(AppError):
    kind, code, message = ErrorKind.FORBIDDEN, "sign_in_refused", "The provider did not sign you in."


class IdTokenInvalid(AppError):
    kind, code = ErrorKind.FORBIDDEN, "id_token_invalid"
    message = "The provider's response is not valid for this sign-in: begin again, or tell the operator."


class EmailNotVerified(AppError):
    kind, code = ErrorKind.FORBIDDEN, "email_not_verified"
    message = "The provider names no e-mail of yours that it has verified, which this service needs."


class DomainNotAllowed(AppError):
    kind, code = ErrorKind.FORBIDDEN, "domain_not_allowed"
    message = "The domain of your e-mail may not sign in by this provider."


class LinkNeeded(Conflict):
    code = "link_needed"
    message = (
        "There is an account with this e-mail already, and the e-mail is not confirmed on both sides: log in to it as"
        " before, and link the provider there."
    )


class AlreadyLinked(Conflict):
    code, message = "already_linked", "This user of the provider is linked to another account."


class LastLogin(Conflict):
    code = "last_login"
    message = "This is the last way to log in to the account: set a password or link another provider first."


class LinkNotFound(NotFound):
    code, message = "link_not_found", "Link not found"


class NextUrlRefused(AppError):
    kind, code = ErrorKind.MALFORMED, "next_url_refused"
    message = "next is a path of this service, such as /app, without a fragment."
