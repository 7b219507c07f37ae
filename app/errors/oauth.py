"""Errors of OAuth, under the codes of RFC 6749, 5.2, RFC 7591, 3.2.2, and RFC 8707, 2."""

from app.errors.kinds import AppError, ErrorKind


class OAuthError(AppError):
    """Base of the errors that clients get in the shape of RFC 6749."""

    kind, code = ErrorKind.MALFORMED, "invalid_request"
    message = "A parameter is missing, malformed or sent twice."


class OAuthClientUnknown(OAuthError):
    kind, code = ErrorKind.UNAUTHENTICATED, "invalid_client"
    message = "This client is not known here: register it again."


class GrantInvalid(OAuthError):
    code = "invalid_grant"
    message = "The code or refresh token is not valid (any more), or belongs to another client."


class GrantTypeUnsupported(OAuthError):
    code, message = "unsupported_grant_type", "grant_type is authorization_code or refresh_token."


class ResponseTypeUnsupported(OAuthError):
    code, message = "unsupported_response_type", "response_type is code."


class OAuthScopeInvalid(OAuthError):
    code, message = "invalid_scope", "The scopes are read and write; a refresh cannot add one."


class ResourceInvalid(OAuthError):
    code, message = "invalid_target", "This service has no such resource, or the grant is for another one."


class AccessDenied(OAuthError):
    kind, code, message = ErrorKind.FORBIDDEN, "access_denied", "The user refused."


class RedirectInvalid(OAuthError):
    code = "invalid_redirect_uri"
    message = "A redirect URI is https, http on the user's own machine, or a scheme of the app's own."


class ClientMetadataInvalid(OAuthError):
    code, message = "invalid_client_metadata", "The client's metadata is not acceptable."


class ClientRegistrationClosed(OAuthError):
    kind, code = ErrorKind.FORBIDDEN, "client_registration_closed"
    message = "Clients cannot register here: use the URL of your metadata as client_id."


class ConsentForged(OAuthError):
    kind, code = ErrorKind.FORBIDDEN, "consent_forged"
    message = "This page is not the one that was opened here, or is too old: go back to the app and connect again."
