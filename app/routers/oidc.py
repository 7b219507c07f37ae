"""``/api/auth/oidc`` and ``/api/auth/links``: signing in with providers of OpenID Connect, and links to them."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request, Response, Security

from app.http.dependencies import Auth, AuthSession, FromClient, LinkId, LoggedIn, ProvenLogin, bearer
from app.http.oauth.forms import read_parameters
from app.http.paths import home_path, start_path, url_of
from app.http.responses import Json
from app.http.routing import SmallBodyRoute
from app.http.sign_in import (
    SignInRoute,
    find_sign_in_browser,
    lead_back_to,
    new_sign_in_browser,
    read_next_url,
    redirect_to,
    redirect_uri_of,
    set_sign_in_browser,
    signed_in_response,
)
from app.models.oidc import LinkStarted, LoginProviderRead, OidcLinkRead
from app.services.oidc import links
from app.services.oidc.sign_in import (
    BegunSignIn,
    ReturnedSignIn,
    begin_sign_in,
    find_provider,
    finish_sign_in,
    take_sign_in,
)

router = APIRouter(prefix="/api/auth", tags=["auth"], route_class=SmallBodyRoute)
pages = APIRouter(prefix="/api/auth/oidc", tags=["auth"], route_class=SignInRoute, include_in_schema=False)

ProviderId = Annotated[str, Path(description="Id of the provider.", max_length=40, examples=["default"])]
LINK_RESPONSES: dict[int | str, dict[str, Any]] = {
    404: {"description": "There is no such provider."},
    502: {"description": "The provider cannot be reached."},
}
UNLINK_RESPONSES: dict[int | str, dict[str, Any]] = {409: {"description": "It is the last way to log in."}}


@router.get("/oidc", response_model=list[LoginProviderRead])
async def list_login_providers(request: Request, auth: Auth) -> Response:
    """Returns the providers by which users can sign in, for the buttons of a login page."""
    found = [
        {"id": name, "name": provider.config.label, "start_path": start_path(request, name)}
        for name, provider in auth.providers.items()
    ]
    return Json(found, headers={"Cache-Control": "no-cache"})


@router.post(
    "/oidc/{provider}/link", response_model=LinkStarted, responses=LINK_RESPONSES, dependencies=[Security(bearer)]
)
async def start_link(request: Request, auth: Auth, identity: ProvenLogin, provider: ProviderId) -> Response:
    """Begins to link a user of the provider to the account. The same browser must open `url` within 10 minutes."""
    browser = new_sign_in_browser(request)
    begun = BegunSignIn(browser, redirect_uri_of(request, provider), read_next_url(request, None))
    response = Json({"url": await begin_sign_in(auth, provider, begun, identity)})
    set_sign_in_browser(request, response, browser)
    return response


@router.get("/links", response_model=list[OidcLinkRead], dependencies=[Security(bearer)])
async def list_links(auth: Auth, identity: LoggedIn, session: AuthSession) -> Response:
    """Returns the users of providers who may log in to the account."""
    return Json(await links.list_links(session, identity.subject, auth))


@router.delete(
    "/links/{link_id}",
    status_code=204,
    response_class=Response,
    responses=UNLINK_RESPONSES,
    dependencies=[Security(bearer)],
)
async def delete_link(auth: Auth, identity: ProvenLogin, link_id: LinkId) -> Response:
    """Removes a link. The last way to log in to the account stays."""
    await links.delete_link(auth, identity.subject, link_id)
    return Response(status_code=204)


@pages.get("/{provider}/start")
async def start_sign_in(request: Request, auth: Auth, provider: ProviderId) -> Response:
    """Sends the browser to the provider; `next` is where it goes afterwards."""
    sent = read_parameters(request.scope["query_string"])
    browser = new_sign_in_browser(request)
    next_url = read_next_url(request, sent.get("next"))
    lead_back_to(request, next_url)
    begun = BegunSignIn(browser, redirect_uri_of(request, provider), next_url)
    response = redirect_to(await begin_sign_in(auth, provider, begun))
    set_sign_in_browser(request, response, browser)
    return response


@pages.get("/{provider}/callback")
async def return_from_provider(request: Request, auth: Auth, client: FromClient, provider: ProviderId) -> Response:
    """Logs in with the provider's code, in the browser that began it."""
    returned = ReturnedSignIn(
        find_sign_in_browser(request),
        redirect_uri_of(request, provider),
        read_parameters(request.scope["query_string"]),
    )
    begun = await take_sign_in(auth, provider, returned)
    lead_back_to(request, begun.next_url)
    issued = await finish_sign_in(auth, provider, returned, begun, client)
    return signed_in_response(request, begun.next_url, provider, issued)


@pages.get("/{provider}/logout")
async def log_out_of_provider(request: Request, auth: Auth, provider: ProviderId) -> Response:
    """Sends the browser to the page that ends the login at the provider, if it has one; else home.

    The session here is ended by `POST /api/auth/logout`, before.
    """
    redirect_uri_of(request, provider)
    home = url_of(request, home_path(request))
    return redirect_to(await find_provider(auth, provider).logout_url(home) or home)
