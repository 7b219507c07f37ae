"""``/api/auth``: registration, login, refresh, logout and password reset."""

from typing import Annotated, Any

from fastapi import APIRouter, Body, Request, Response, Security

from app.errors import AppError, RefreshTokenMissing
from app.http.dependencies import Auth, FromClient, bearer, require_login
from app.http.paths import find_relying_party
from app.http.refresh_cookie import clear_refresh_cookie, has_refresh_cookie, read_refresh_cookie, token_pair_response
from app.http.responses import LOGIN_THROTTLED, Json
from app.http.routing import SmallBodyRoute
from app.http.sign_in import (
    PASSKEY_RESPONSES,
    clear_challenge_cookie,
    find_sign_in_browser,
    new_sign_in_browser,
    passkey_login,
    read_challenge_cookie,
    read_factor,
    set_sign_in_browser,
)
from app.models.accounts import AccountCreate
from app.models.second_factors import PasskeyOptions, WaitingChallenge
from app.schemas.auth import Accepted, EmailConfirmation, Login, PasswordForgotten, PasswordReset, Refresh, TokenPair
from app.schemas.second_factors import LoginProof, PasskeyLogin, WaitingLogin
from app.services.accounts import email_changes, login, login_challenges, passkeys, passwords, profile, sessions
from app.services.accounts.context import AuthContext
from app.services.accounts.passkey_answers import ask_for_passkey
from app.services.accounts.refresh import refresh_session

router = APIRouter(prefix="/api/auth", tags=["auth"], route_class=SmallBodyRoute)

LOGIN_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"description": "Invalid email or password."},
    **LOGIN_THROTTLED,
}
DISABLED_RESPONSES: dict[int | str, dict[str, Any]] = {403: {"description": "The account is disabled."}}
LOGIN_FORBIDDEN: dict[int | str, dict[str, Any]] = {
    403: {"description": "A second factor is needed, or it is disabled."}
}
FACTOR_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"description": "The login is too old or was finished already."},
    403: {"description": "The code is wrong, or the passkey not accepted."},
    **LOGIN_THROTTLED,
}
CHALLENGE_RESPONSES: dict[int | str, dict[str, Any]] = {
    401: {"description": "The login is too old or was finished already."}
}
REFUSED_RESPONSES: dict[int | str, dict[str, Any]] = {403: {"description": "The passkey is not accepted."}}
REFRESH_RESPONSES: dict[int | str, dict[str, Any]] = {401: {"description": "The refresh token is no longer valid."}}
COOKIE_RESPONSES: dict[int | str, dict[str, Any]] = {
    403: {"description": "The cookie was sent from a site that is not allowed."},
    409: {"description": "Another request is using the token right now."},
}
REGISTER_RESPONSES: dict[int | str, dict[str, Any]] = {
    202: {"model": Accepted, "description": "With REGISTRATION=mail: the account is confirmed by a mail."},
    403: {"description": "Only the operator creates accounts on this service."},
    409: {"description": "An account with this e-mail exists."},
    **LOGIN_THROTTLED,
}
EMAIL_TAKEN_RESPONSE: dict[int | str, dict[str, Any]] = {409: {"description": "Another account has taken this e-mail."}}
MAIL_SENT_BODY = {"detail": "If there is such an account, a mail has been sent."}
CONFIRM_MAIL_BODY = {"detail": "A mail with the next step has been sent to this address."}


@router.post("/register", status_code=201, response_model=TokenPair, responses=REGISTER_RESPONSES)
@router.post("/signup", status_code=201, include_in_schema=False)
async def register(request: Request, auth: Auth, client: FromClient, account: AccountCreate) -> Response:
    """Creates an account and logs it in. The user id for paths is `user.id`; `me` also works there."""
    pair = await profile.register(auth, account, client)
    return Json(CONFIRM_MAIL_BODY, 202) if pair is None else token_pair_response(request, auth, pair, 201)


@router.post("/login", response_model=TokenPair, responses=LOGIN_RESPONSES | LOGIN_FORBIDDEN)
@router.post("/signin", include_in_schema=False)
async def log_in(request: Request, auth: Auth, client: FromClient, given: Login) -> Response:
    """Logs in. After too many wrong passwords the response is 429, with the seconds to wait.

    403 `second_factor_required`: the password is right, and `second_factor.challenge` continues at `login/factor`.
    """
    return token_pair_response(request, auth, await login.login(auth, given, client))


@router.post("/login/factor", response_model=TokenPair, responses=FACTOR_RESPONSES)
async def finish_login(request: Request, auth: Auth, client: FromClient, given: LoginProof) -> Response:
    """Finishes a login that was 403 `second_factor_required`, within 5 minutes. A wrong code may be tried again."""
    challenge = given.challenge or read_challenge_cookie(request)
    pair = await login_challenges.finish_login(auth, challenge, read_factor(request, given), client)
    response = token_pair_response(request, auth, pair)
    clear_challenge_cookie(request, response)
    return response


@router.post("/login/factor/options", response_model=WaitingChallenge, responses=CHALLENGE_RESPONSES)
async def describe_waiting_login(request: Request, auth: Auth, given: WaitingLogin) -> Response:
    """Returns what a login waits for, with the options for a passkey of its account."""
    challenge = given.challenge or read_challenge_cookie(request)
    return Json(await login_challenges.describe_challenge(auth, challenge, find_relying_party(request)))


@router.post("/login/passkey/options", response_model=PasskeyOptions, responses=PASSKEY_RESPONSES)
async def begin_passkey_login(request: Request, auth: Auth) -> Response:
    """Returns the options for a login with nothing but a passkey, in the same browser, within 5 minutes."""
    browser = new_sign_in_browser(request)
    response = Json({"options": await ask_for_passkey(auth, passkey_login(request, browser))})
    set_sign_in_browser(request, response, browser)
    return response


@router.post("/login/passkey", response_model=TokenPair, responses=PASSKEY_RESPONSES | REFUSED_RESPONSES)
async def log_in_with_passkey(request: Request, auth: Auth, client: FromClient, given: PasskeyLogin) -> Response:
    """Logs in with nothing but a passkey. It is both factors, since its device asks for a finger, a face or a PIN."""
    asked = passkey_login(request, find_sign_in_browser(request))
    pair = await passkeys.log_in_with_passkey(auth, asked, given.passkey, client)
    return token_pair_response(request, auth, pair)


@router.post("/refresh", response_model=TokenPair, responses=REFRESH_RESPONSES | COOKIE_RESPONSES)
async def refresh(
    request: Request, auth: Auth, client: FromClient, given: Annotated[Refresh | None, Body()] = None
) -> Response:
    """Exchanges a refresh token, once, for a new pair. If the response is lost, send it again within 10 s."""
    token = _refresh_token(request, auth, given)
    pair = await refresh_session(auth, token, client)
    return token_pair_response(request, auth, pair, in_cookie=not (given and given.refresh_token))


@router.post(
    "/logout",
    status_code=204,
    response_class=Response,
    dependencies=[Security(bearer)],
    openapi_extra={"security": [{}]},  # or without a token: the refresh token identifies the session
    responses=REFRESH_RESPONSES | DISABLED_RESPONSES,
)
async def log_out(request: Request, auth: Auth, given: Annotated[Refresh | None, Body()] = None) -> Response:
    """Ends this session. Without a valid access token, the refresh token identifies it."""
    try:
        identity = await require_login(request)
    except AppError as refused:
        await sessions.end_by_refresh_token(auth, _token_instead(request, auth, given, refused))
    else:
        await sessions.log_out(auth, identity)
    response = Response(status_code=204)
    if has_refresh_cookie(request, auth.settings):
        clear_refresh_cookie(request, response, auth.settings)
    return response


def _token_instead(request: Request, auth: AuthContext, given: Refresh | None, refused: AppError) -> str:
    """Returns the refresh token, which identifies the session whatever is wrong with the Authorization header."""
    try:
        return _refresh_token(request, auth, given)
    except RefreshTokenMissing:
        if "authorization" in request.headers:
            raise refused from None
        raise


def _refresh_token(request: Request, auth: AuthContext, given: Refresh | None) -> str:
    return given.refresh_token if given and given.refresh_token else read_refresh_cookie(request, auth.settings)


@router.post("/email/confirm", status_code=204, response_class=Response, responses=EMAIL_TAKEN_RESPONSE)
async def confirm_email(auth: Auth, given: EmailConfirmation) -> Response:
    """Makes a new e-mail the account's, with the token from the mail to it."""
    await email_changes.confirm_email(auth, given.token)
    return Response(status_code=204)


@router.post("/password/forgot", status_code=202, response_model=Accepted, responses=LOGIN_THROTTLED)
async def forgot_password(auth: Auth, client: FromClient, given: PasswordForgotten) -> Response:
    """Mails a token for a new password, if there is such an account. The response is the same if there is none."""
    await passwords.forgot_password(auth, given.email, client)
    return Json(MAIL_SENT_BODY, 202)


@router.post("/password/reset", status_code=204, response_class=Response, responses=LOGIN_THROTTLED)
async def reset_password(auth: Auth, client: FromClient, given: PasswordReset) -> Response:
    """Sets a new password with the token from the mail. All sessions of the account end."""
    await passwords.reset_password(auth, given.token, given.new_password, client)
    return Response(status_code=204)
