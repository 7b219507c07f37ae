"""Errors of requests that do not depend on the resource: body, limits, headers, parameters."""

from app.errors.kinds import AppError, ErrorKind, Invalid


class MalformedBody(AppError):
    kind, code, message = ErrorKind.MALFORMED, "malformed_body", "The body is not valid JSON in UTF-8."


class UnsupportedMediaType(AppError):
    kind, code, message = ErrorKind.UNSUPPORTED_MEDIA, "unsupported_media_type", "Send the body as application/json."


class BodyTooLarge(AppError):
    kind, code, message = ErrorKind.TOO_LARGE, "body_too_large", "The body is larger than this service accepts."


class TooManyBodies(AppError):
    kind, code, message = (
        ErrorKind.UNAVAILABLE,
        "too_many_bodies",
        "Too many request bodies are being received: try again.",
    )


class RateLimited(AppError):
    kind, code, message = ErrorKind.RATE_LIMITED, "rate_limited", "Too many requests: wait and try again."


class ImportRunning(AppError):
    kind, code = ErrorKind.CONFLICT, "import_running"
    message = "An import of this user is still running: send the next one when it is done."


class IdempotencyKeyInUse(AppError):
    kind, code = ErrorKind.CONFLICT, "idempotency_key_in_use"
    message = "A request with this Idempotency-Key is still running."


class IdempotencyKeyReused(Invalid):
    code, message = "idempotency_key_reused", "This Idempotency-Key belongs to another request: use a new one."


class IdempotencyKeyInvalid(Invalid):
    code, message = "idempotency_key_invalid", "An Idempotency-Key has 1 to 255 visible ASCII characters."


class SecretShownOnce(AppError):
    """A repeat of a request whose response held a secret: neither is the effect repeated nor the secret returned."""

    kind, code = ErrorKind.CONFLICT, "secret_shown_once"
    message = "The request with this Idempotency-Key was carried out, and the secret it made is shown only once."


class UrlRefused(Invalid):
    code, message = "url_refused", "The URL does not lead to the public internet."


class InvalidCursor(Invalid):
    code, message = "invalid_cursor", "The cursor is not one this service made for this sort order."


class NoEntityTag(Invalid):
    code, message = "no_entity_tag", 'An ETag is in quotes: If-Match: "7" or an asterisk.'
