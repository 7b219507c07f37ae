"""``/api/auth/me`` and ``/api/auth/password``: the caller's account."""

from typing import Any

from fastapi import APIRouter, Depends, Request, Response, Security

from app.http.dependencies import Auth, AuthSession, FromClient, LoggedIn, ProvenLogin, Subject, bearer, limited
from app.http.refresh_cookie import clear_refresh_cookie, has_refresh_cookie, token_pair_response
from app.http.responses import LOGIN_THROTTLED, Json, revision_header
from app.http.routing import SmallBodyRoute
from app.http.streamed_file import StreamedFile
from app.models.accounts import AccountRead, AccountUpdate
from app.schemas.auth import AccountExport, PasswordChange, PasswordConfirmation, TokenPair
from app.services.accounts import erasure, passwords, profile
from app.services.accounts.export import read_account

router = APIRouter(prefix="/api/auth", tags=["auth"], route_class=SmallBodyRoute, dependencies=[Security(bearer)])

EMAIL_RESPONSES: dict[int | str, dict[str, Any]] = {
    409: {"description": "Another account has this e-mail."},
    **LOGIN_THROTTLED,
}


@router.get(
    "/me",
    response_model=AccountRead,
    responses={404: {"description": "A user of another issuer: there is no account."}},
)
async def get_account(subject: Subject, session: AuthSession) -> Response:
    """Returns the account of the token."""
    return Json(dict(await profile.get_account(session, subject)))


@router.patch("/me", response_model=AccountRead, responses=EMAIL_RESPONSES)
async def update_account(auth: Auth, identity: LoggedIn, client: FromClient, change: AccountUpdate) -> Response:
    """Changes the fields sent: name, e-mail, time zone. A new e-mail requires `current_password`."""
    written = await profile.update_account(auth, identity, change, client)
    return Json(dict(written.after), headers=revision_header(written.revision))


@router.delete("/me", status_code=204, response_class=Response, responses=LOGIN_THROTTLED)
async def delete_account(
    request: Request, auth: Auth, identity: ProvenLogin, client: FromClient, again: PasswordConfirmation
) -> Response:
    """Deletes the account and all its data, immediately and permanently. To keep a copy, export it first."""
    await erasure.delete_account(auth, identity, again.password, client)
    response = Response(status_code=204)
    if has_refresh_cookie(request, auth.settings):
        clear_refresh_cookie(request, response, auth.settings)
    return response


@router.get("/me/export", response_model=AccountExport, dependencies=[Depends(limited("export"))])
async def export_account(auth: Auth, identity: LoggedIn) -> Response:
    """Returns all data that the service keeps about the account, as JSON, without secrets."""
    headers = {"Content-Disposition": 'attachment; filename="todo-export.json"'}
    return StreamedFile(read_account(auth, identity.subject), media_type="application/json", headers=headers)


@router.put("/password", response_model=TokenPair, responses=LOGIN_THROTTLED)
async def change_password(
    request: Request, auth: Auth, identity: ProvenLogin, client: FromClient, given: PasswordChange
) -> Response:
    """Changes the password. All sessions end, also this one; the response has the tokens of a new session."""
    pair = await passwords.change_password(auth, identity, given.current_password, given.new_password, client)
    return token_pair_response(request, auth, pair)
