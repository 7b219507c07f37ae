"""``/api/auth/factors``: the second factors of the account, which only a login can change."""

from typing import Any

from fastapi import APIRouter, Request, Response, Security

from app.domain.oauth import split_url
from app.http.dependencies import Auth, AuthSession, FromClient, LoggedIn, PasskeyId, ProvenLogin, bearer
from app.http.paths import url_of
from app.http.responses import LOGIN_THROTTLED, Json
from app.http.routing import SmallBodyRoute
from app.http.sign_in import PASSKEY_RESPONSES, read_factor, relying_party
from app.models.second_factors import FactorsRead, PasskeyCreated, PasskeyOptions, RecoveryCodesCreated, TotpCreated
from app.schemas.auth import PasswordConfirmation
from app.schemas.second_factors import CodeProof, FactorProof, PasskeyCreate
from app.services.accounts import passkeys, second_factors, totp

router = APIRouter(
    prefix="/api/auth/factors", tags=["auth"], route_class=SmallBodyRoute, dependencies=[Security(bearer)]
)

HOST_NAME_MAX = 253  # characters (RFC 1035, 2.3.4): a Host header may be longer than a QR code
TOTP_RESPONSES: dict[int | str, dict[str, Any]] = {
    409: {"description": "There is one already, or none to confirm."},
    **LOGIN_THROTTLED,
}


@router.get("", response_model=FactorsRead)
async def get_factors(identity: LoggedIn, session: AuthSession) -> Response:
    """Returns the second factors of the account."""
    return Json(await totp.get_factors(session, identity.subject))


@router.post("/proof", status_code=204, response_class=Response, responses=LOGIN_THROTTLED)
async def prove_factor(
    request: Request, auth: Auth, identity: LoggedIn, client: FromClient, given: FactorProof
) -> Response:
    """Proves a second factor for this session: for 10 minutes it may then do what is 403 `second_factor_required`."""
    await second_factors.prove_again(auth, identity, read_factor(request, given), client)
    return Response(status_code=204)


@router.post("/proof/options", response_model=PasskeyOptions, responses=PASSKEY_RESPONSES)
async def begin_proof(request: Request, auth: Auth, identity: LoggedIn) -> Response:
    """Returns the options with which a passkey of the account proves the second factor."""
    return Json({"options": await second_factors.ask_for_proof(auth, identity, relying_party(request))})


@router.post("/passkeys/options", response_model=PasskeyOptions, responses=PASSKEY_RESPONSES | TOTP_RESPONSES)
async def begin_passkey(
    request: Request, auth: Auth, identity: ProvenLogin, client: FromClient, given: PasswordConfirmation
) -> Response:
    """Returns the options with which a browser makes a passkey for the account, within 5 minutes."""
    party = relying_party(request)
    options = await passkeys.begin_passkey(auth, identity, given.password, party, client)
    return Json({"options": options})


@router.post("/passkeys", status_code=201, response_model=PasskeyCreated, responses=PASSKEY_RESPONSES | TOTP_RESPONSES)
async def create_passkey(request: Request, auth: Auth, identity: ProvenLogin, given: PasskeyCreate) -> Response:
    """Keeps a passkey that a browser has made: it logs in alone, and a password needs a second factor from now on.

    If it is the first second factor all other sessions end, and only this response shows the recovery codes.
    """
    created = await passkeys.create_passkey(auth, identity, given.name, given.passkey, relying_party(request))
    return Json(created, 201, {"Cache-Control": "no-store"})


@router.delete("/passkeys/{passkey_id}", status_code=204, response_class=Response)
async def delete_passkey(auth: Auth, identity: ProvenLogin, passkey_id: PasskeyId) -> Response:
    """Deletes a passkey, with the recovery codes if it was the last second factor."""
    await passkeys.delete_passkey(auth, identity.subject, passkey_id)
    return Response(status_code=204)


@router.post("/totp", status_code=201, response_model=TotpCreated, responses=TOTP_RESPONSES)
async def create_totp(
    request: Request, auth: Auth, identity: ProvenLogin, client: FromClient, given: PasswordConfirmation
) -> Response:
    """Makes a secret for an authenticator app. Only this response shows it; confirm it within 15 minutes."""
    parts = split_url(url_of(request, ""))
    service = f"Todo ({parts.hostname[:HOST_NAME_MAX]})" if parts and parts.hostname else "Todo"
    begun = await totp.begin_totp(auth, identity.subject, given.password, service, client)
    return Json(begun._asdict() | {"qr_code": begun.qr_code._asdict()}, 201, {"Cache-Control": "no-store"})


@router.post("/totp/confirm", response_model=RecoveryCodesCreated, responses=TOTP_RESPONSES)
async def confirm_totp(auth: Auth, identity: ProvenLogin, client: FromClient, given: CodeProof) -> Response:
    """Puts the app to use with its first code: from now on a login needs one. All other sessions end.

    Only this response shows the recovery codes, each of which replaces a code once.
    """
    codes = await totp.confirm_totp(auth, identity, given.code, client)
    return Json({"recovery_codes": codes}, headers={"Cache-Control": "no-store"})


@router.delete("/totp", status_code=204, response_class=Response)
async def delete_totp(auth: Auth, identity: ProvenLogin) -> Response:
    """Turns the authenticator app off, with the recovery codes if it was the last second factor."""
    await totp.delete_totp(auth, identity.subject)
    return Response(status_code=204)


@router.post("/recovery-codes", status_code=201, response_model=RecoveryCodesCreated)
async def create_recovery_codes(auth: Auth, identity: ProvenLogin) -> Response:
    """Replaces all recovery codes by ten new ones, which only this response shows."""
    codes = await second_factors.renew_recovery_codes(auth, identity.subject)
    return Json({"recovery_codes": codes}, 201, {"Cache-Control": "no-store"})
