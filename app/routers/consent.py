"""``/oauth/authorize``: the page on which a user logs in, sees what an app asks for, and allows or refuses it."""

import json
from typing import Any, NamedTuple

from fastapi import APIRouter, Request, Response

from app.auth.claims import Identity
from app.domain.oauth import narrow_scope
from app.errors import (
    AccessDenied,
    AppError,
    ErrorKind,
    LoginChallengeInvalid,
    LoginFailed,
    LoginRequired,
    OAuthError,
    PasskeyRefused,
    SecondFactorRequired,
    SecondFactorWrong,
    TooManyAttempts,
)
from app.http.dependencies import Auth, FromClient
from app.http.oauth import consent
from app.http.oauth.consent import PageRoute, RedirectTarget
from app.http.oauth.forms import read_form, read_parameters
from app.http.oauth.pages import consent_page, factor_page, login_page
from app.http.oauth.server import require_issuer
from app.http.sign_in import (
    clear_challenge_cookie,
    find_sign_in_browser,
    passkey_login,
    read_challenge_cookie,
    relying_party,
)
from app.models.accounts import EMAIL_MAX, PASSWORD_MAX
from app.services.accounts import login_challenges, passkeys, profile, second_factors, sessions
from app.services.accounts.context import AuthContext, Client
from app.services.accounts.login import login_for
from app.services.accounts.second_factors import GivenFactor
from app.services.accounts.sessions import IssuedTokens
from app.services.oauth.clients import find_client
from app.services.oauth.codes import CodeRequest, create_code

router = APIRouter(prefix="/oauth", tags=["oauth"], route_class=PageRoute, include_in_schema=False)

FACTOR_ERRORS = (SecondFactorWrong, PasskeyRefused, TooManyAttempts)
LOGIN_LIFE = 600  # seconds: a login that is made for one answer


class Authorization(NamedTuple):
    """An authorization request whose app, target and parameters are known to be good."""

    issuer: str
    target: RedirectTarget
    asked: CodeRequest


async def _read_authorization(request: Request, auth: AuthContext, client: Client) -> Authorization | Response:
    """Reads the request from the URL. Of errors the app learns once its redirect URI is known to be its own."""
    issuer = require_issuer(request)
    sent = read_parameters(request.scope["query_string"])
    app = await find_client(auth, sent.get("client_id", ""), client)
    target = consent.read_target(sent, app)
    try:
        return Authorization(issuer, target, consent.read_code_request(request, sent, app, target))
    except OAuthError as error:
        return target.ask_to_return(issuer, error)


@router.get("/authorize")
async def show_authorization(request: Request, auth: Auth, client: FromClient) -> Response:
    """Shows the login, from which a script continues if the user is logged in to the web client."""
    found = await _read_authorization(request, auth, client)
    if isinstance(found, Response):
        return found
    browser = consent.find_browser(request) or consent.new_browser()
    response = login_page(request, found.asked.app, consent.forgery_token(request, browser))
    consent.set_browser(request, response, browser)
    return response


@router.post("/authorize")
async def answer_authorization(request: Request, auth: Auth, client: FromClient) -> Response:
    """Logs in, or carries out the answer. The URL is read again each time, so that no form can change it."""
    found = await _read_authorization(request, auth, client)
    if isinstance(found, Response):
        return found
    sent = await read_form(request)
    consent.check_forgery(request, sent)
    action = sent.get("action")
    token = consent.forgery_token(request, consent.find_browser(request))
    if action == "login":
        return await _log_in(request, auth, client, found, sent)
    if action == "passkey":
        return await _log_in_with_passkey(request, auth, client, found, sent)
    if action == "waiting":
        if challenge := read_challenge_cookie(request):
            return factor_page(request, found.asked.app, token, {"challenge": challenge})
        return _show_login_again(request, found, LoginChallengeInvalid())
    if action == "factor" and "challenge" in sent:
        return await _finish_login(request, auth, client, found, sent)
    identity = await _find_login(request, sent)
    if action == "other" or identity is None:
        await _end_login(auth, sent, identity)
        return login_page(request, found.asked.app, token, scripted=False)
    if action == "deny":
        await _end_login(auth, sent, identity)
        return found.target.refuse(found.issuer, AccessDenied())
    return await _carry_out(request, auth, client, found, sent, identity)


async def _carry_out(
    request: Request,
    auth: AuthContext,
    client: Client,
    found: Authorization,
    sent: dict[str, str],
    identity: Identity,
) -> Response:
    """Asks the user, or allows what was asked for: with a login that has proved its second factor lately."""
    started = bool(sent.get("started"))
    try:
        if sent.get("action") == "factor":
            await second_factors.prove_again(auth, identity, _read_factor(request, sent), client)
        await second_factors.require_recent_factor(auth, identity)
    except (SecondFactorRequired, *FACTOR_ERRORS) as error:
        waiting = {"access_token": sent["access_token"], "started": "1" if started else ""}
        said = None if isinstance(error, SecondFactorRequired) else error
        token = consent.forgery_token(request, consent.find_browser(request))
        return factor_page(request, found.asked.app, token, waiting, error=said)
    if sent.get("action") != "allow":
        return await _ask(request, auth, found, identity, sent["access_token"], started=started)
    scope = "read" if found.asked.scope == "read" else narrow_scope(sent.get("scope", "read")) or "read"
    code = await create_code(auth, identity, found.asked, scope)
    await _end_login(auth, sent, identity)
    return found.target.respond(found.issuer, code=code)


async def _log_in(
    request: Request, auth: AuthContext, client: Client, found: Authorization, sent: dict[str, str]
) -> Response:
    """Logs in like ``/api/auth/login``, with its throttle, for the few minutes that an answer takes."""
    email, password = sent.get("email", "").strip(), sent.get("password", "")
    try:
        if len(email) > EMAIL_MAX or len(password) > PASSWORD_MAX:
            raise LoginFailed
        issued = await login_for(auth, email, password, client, life=LOGIN_LIFE)
    except SecondFactorRequired as error:
        token = consent.forgery_token(request, consent.find_browser(request))
        return factor_page(request, found.asked.app, token, {"challenge": error.challenge or ""})
    except AppError as error:
        return _show_login_again(request, found, error, email)
    return await _ask_logged_in(request, auth, found, issued)


async def _finish_login(
    request: Request, auth: AuthContext, client: Client, found: Authorization, sent: dict[str, str]
) -> Response:
    """Logs in with the second factor, like ``/api/auth/login/factor``."""
    challenge = sent["challenge"]
    try:
        given = _read_factor(request, sent)
        issued = await login_challenges.finish_login(auth, challenge, given, client, life=LOGIN_LIFE)
    except FACTOR_ERRORS as error:
        token = consent.forgery_token(request, consent.find_browser(request))
        return factor_page(request, found.asked.app, token, {"challenge": challenge}, error=error)
    except AppError as error:
        return _show_login_again(request, found, error)
    response = await _ask_logged_in(request, auth, found, issued)
    clear_challenge_cookie(request, response)
    return response


def _read_factor(request: Request, sent: dict[str, str]) -> GivenFactor:
    """Returns a code, or the JSON of a passkey's answer that the page's script has put into the form."""
    if not sent.get("passkey"):
        return GivenFactor(sent.get("code", ""))
    return GivenFactor(passkey=_read_passkey(sent), party=relying_party(request))


def _read_passkey(sent: dict[str, str]) -> dict[str, Any]:
    try:
        answer = json.loads(sent.get("passkey", ""))
    except (ValueError, RecursionError):
        raise PasskeyRefused from None
    if not isinstance(answer, dict):
        raise PasskeyRefused
    return answer


async def _log_in_with_passkey(
    request: Request, auth: AuthContext, client: Client, found: Authorization, sent: dict[str, str]
) -> Response:
    """Logs in like ``/api/auth/login/passkey``, for the few minutes that an answer takes."""
    try:
        asked = passkey_login(request, find_sign_in_browser(request))
        issued = await passkeys.log_in_with_passkey(auth, asked, _read_passkey(sent), client, life=LOGIN_LIFE)
    except AppError as error:
        return _show_login_again(request, found, error)
    return await _ask_logged_in(request, auth, found, issued)


def _show_login_again(request: Request, found: Authorization, error: AppError, email: str = "") -> Response:
    if error.kind is ErrorKind.UNAVAILABLE:
        raise error
    token = consent.forgery_token(request, consent.find_browser(request))
    return login_page(request, found.asked.app, token, email=email, error=error)


async def _ask_logged_in(request: Request, auth: AuthContext, found: Authorization, issued: IssuedTokens) -> Response:
    identity = await request.app.state.verifier.verify(issued.access_token)
    return await _ask(request, auth, found, identity, issued.access_token, started=True)


async def _ask(
    request: Request, auth: AuthContext, found: Authorization, identity: Identity, access_token: str, *, started: bool
) -> Response:
    async with auth.database.auth_transaction() as session:
        account = await profile.get_account(session, identity.subject)
    token = consent.forgery_token(request, consent.find_browser(request))
    return consent_page(request, found.asked, token, email=account.email, access_token=access_token, started=started)


async def _find_login(request: Request, sent: dict[str, str]) -> Identity | None:
    """Returns the login that a form names; None without a valid one. API tokens and apps cannot connect others."""
    token = sent.get("access_token")
    if not token:
        return None
    context: AuthContext = request.app.state.auth
    try:
        identity: Identity = await request.app.state.verifier.verify(token)
        if identity.session_id is None or identity.client_id:
            raise LoginRequired
        await context.revocations.check_session(identity)
    except AppError as error:
        if error.kind not in {ErrorKind.UNAUTHENTICATED, ErrorKind.FORBIDDEN}:
            raise
        return None
    return identity


async def _end_login(auth: AuthContext, sent: dict[str, str], identity: Identity | None) -> None:
    """Ends a login that was made for this answer alone."""
    if sent.get("started") and identity is not None:
        await sessions.log_out(auth, identity)
