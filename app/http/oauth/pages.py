"""The pages on which a user allows an app access: server-rendered, without a request to any other host.

There is no ``form-action`` in their policy: Chromium applies it to the whole chain of redirects, which leads to an
app's own address. A token against forgery and ``frame-ancestors`` protect the forms instead.
"""

import secrets
from datetime import timedelta
from functools import cache
from html import escape
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.clock import now
from app.domain.oauth import is_loopback
from app.errors import AppError
from app.http.paths import MCP_PATH, find_relying_party, passkey_options_path, path_of, request_path, start_path, url_of
from app.http.problems import STATUS_BY_KIND
from app.services.oauth.clients import OAuthApp
from app.services.oauth.codes import CodeRequest

PAGE_FOLDER = Path(__file__).parents[2] / "static" / "oauth"
PAGE_SHELL = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>{title} · Todo</title>
<style nonce="{nonce}">{style}</style>
</head>
<body>
<main>
<p class="brand"><svg class="mark" viewBox="0 0 32 32" aria-hidden="true"><circle cx="16" cy="16" r="15"/>\
<path d="M9.5 16.8l4.4 4.4 8.8-9.6"/></svg>Todo</p>
<h1>{title}</h1>
{body}
</main>
{script}
</body>
</html>
"""
LOGIN_BODY = """{about}
{said}
<form method="post" action="{action}">
<input type="hidden" name="forgery_token" value="{token}">
<input type="hidden" name="action" value="login">
<label>E-mail<input name="email" type="email" autocomplete="username" required autofocus value="{email}"></label>
<label>Password<input name="password" type="password" autocomplete="current-password" required></label>
<button class="primary">Log in</button>
</form>
{passkey}
{providers}
<form method="post" action="{action}" id="session" data-refresh="{refresh}" hidden>
<input type="hidden" name="forgery_token" value="{token}">
<input type="hidden" name="action" value="session">
<input type="hidden" name="access_token">
<input type="hidden" name="started">
</form>
<form method="post" action="{action}" id="waiting" hidden>
<input type="hidden" name="forgery_token" value="{token}">
<input type="hidden" name="action" value="waiting">
</form>"""
CONSENT_BODY = """{about}
<p>You are logged in as <strong>{email}</strong>.</p>
<form method="post" action="{action}">
<input type="hidden" name="forgery_token" value="{token}">
<input type="hidden" name="access_token" value="{access_token}">
<input type="hidden" name="started" value="{started}">
<fieldset><legend>It may</legend>
{choices}
</fieldset>
<p class="quiet">{reach} It cannot change your account or connect other apps. Access ends when you disconnect
it, when it is unused for {idle}, and on {until} at the latest.</p>
<p class="quiet">After this you are sent to <strong>{target}</strong>.{warning}</p>
<div class="buttons">
<button class="primary" name="action" value="allow">Allow</button>
<button class="secondary" name="action" value="deny">Cancel</button>
<button class="link" name="action" value="other">Use another account</button>
</div>
</form>"""
PASSKEY_FORM = """<form method="post" action="{page}" id="passkey" data-options="{options}"{waits} hidden>
<input type="hidden" name="forgery_token" value="{token}">
<input type="hidden" name="action" value="{action}">
<input type="hidden" name="passkey">
{waiting}
<button class="secondary">Use a passkey</button>
<p class="failed" role="alert" hidden>No passkey was used.</p>
</form>"""
FACTOR_BODY = """{about}
{said}
{passkey}
<form method="post" action="{action}">
<input type="hidden" name="forgery_token" value="{token}">
<input type="hidden" name="action" value="factor">
{waiting}
<label>Code<input name="code" autocomplete="one-time-code" autocapitalize="off" spellcheck="false" required autofocus>\
</label>
<p class="quiet">Six digits of your authenticator app, or a recovery code.</p>
<div class="buttons">
<button class="primary">Continue</button>
<button class="link" name="action" value="other" formnovalidate>Use another account</button>
</div>
</form>"""
SCOPE_CHOICES = {
    "write": "read and change your tasks, projects, comments and views",
    "read": "only read your tasks, projects, comments and views",
}
TOOLS_REACH = "It gets the tools for agents (MCP)."
API_REACH = "It gets the whole API: webhooks and calendar feeds that it makes stay when you disconnect it."
# Any program can listen on a port or claim a scheme (RFC 8252, 8.6).
LOCAL_WARNING = " Another program on this device could pass itself off as it: allow only what you have just started."
DAY_SECONDS = 86_400
CONNECTING_FAILED, SIGN_IN_FAILED = "This app cannot be connected", "The sign-in failed"


@cache
def _asset(name: str) -> str:
    return (PAGE_FOLDER / name).read_text()


def _render(title: str, body: str, *scripts: str) -> Response:
    nonce = secrets.token_urlsafe(18)
    script = "\n".join(f'<script nonce="{nonce}" type="module">{_asset(name)}</script>' for name in scripts)
    page = PAGE_SHELL.format(title=escape(title), nonce=nonce, style=_asset("page.css"), body=body, script=script)
    policy = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        # A form of a page without any referrer would be sent with "Origin: null".
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "DENY",
    }
    return HTMLResponse(page, headers=headers)


def login_page(
    request: Request,
    app: OAuthApp,
    token: str,
    *,
    email: str = "",
    error: AppError | None = None,
    scripted: bool = True,
) -> Response:
    """Returns the login form. ``scripted``: a script continues with the login of the web client, if there is one."""
    body = LOGIN_BODY.format(
        about=_about(app),
        action=_form_action(request),
        said=_said(error),
        token=escape(token),
        email=escape(email),
        refresh=escape(path_of(request, "/api/auth/refresh")),
        providers=_provider_links(request),
        passkey=_passkey_form(request, token, "passkey", {}),
    )
    scripts = ("page.js", "passkey.js") if scripted and error is None else ("passkey.js",)
    return _with_error(_render("Log in to connect an app", body, *scripts), error)


def factor_page(
    request: Request, app: OAuthApp, token: str, waiting: dict[str, str], *, error: AppError | None = None
) -> Response:
    """Returns the form for a second factor. ``waiting``: the fields that name what waits for it."""
    body = FACTOR_BODY.format(
        about=_about(app),
        action=_form_action(request),
        said=_said(error),
        token=escape(token),
        waiting=_hidden(waiting),
        passkey=_passkey_form(request, token, "factor", waiting),
    )
    return _with_error(_render("One more step", body, "passkey.js"), error)


def _passkey_form(request: Request, token: str, action: str, waiting: dict[str, str]) -> str:
    """Returns a form that a script offers: for a passkey of the account that waits, or for any if none does."""
    if find_relying_party(request) is None:
        return ""
    return PASSKEY_FORM.format(
        page=_form_action(request),
        options=escape(passkey_options_path(request, waiting)),
        waits=' data-waits="1"' if waiting else "",
        token=escape(token),
        action=action,
        waiting=_hidden(waiting),
    )


def _hidden(fields: dict[str, str]) -> str:
    return "\n".join(f'<input type="hidden" name="{name}" value="{escape(value)}">' for name, value in fields.items())


def _said(error: AppError | None) -> str:
    if error is None:
        return ""
    wait = f" Wait {error.retry_after} s." if error.retry_after else ""
    return f'<p class="failed" role="alert">{escape(error.detail)}{wait}</p>'


def _with_error(response: Response, error: AppError | None) -> Response:
    """Adds the status of an error and the seconds to wait."""
    if error is not None:
        response.status_code = _status(error)
        if error.retry_after is not None:
            response.headers["Retry-After"] = str(error.retry_after)
    return response


def _form_action(request: Request) -> str:
    """Returns this page without a fragment, which a browser would keep over the redirect to the app (RFC 9700, 4.1)."""
    query: bytes = request.scope["query_string"]
    return escape(f"?{query.decode('latin-1')}")


def _provider_links(request: Request) -> str:
    """Returns the links to the sign-in providers, which lead back to this page."""
    query: bytes = request.scope["query_string"]
    back = urlencode({"next": f"{request_path(request)}?{query.decode('latin-1')}"})
    return "\n".join(
        f'<a class="button" href="{escape(start_path(request, provider.config.id))}?{escape(back)}">'
        f"Continue with {escape(provider.config.label)}</a>"
        for provider in request.app.state.auth.providers.values()
    )


def consent_page(
    request: Request, asked: CodeRequest, token: str, *, email: str, access_token: str, started: bool
) -> Response:
    """Returns the question. ``started``: the login was made for it, and ends with the answer."""
    settings = request.app.state.settings
    offered = ["write", "read"] if asked.scope == "write" else ["read"]
    choices = "\n".join(
        f'<label class="choice"><input type="radio" name="scope" value="{scope}"{" checked" * (scope == asked.scope)}>'
        f"{SCOPE_CHOICES[scope]}</label>"
        for scope in offered
    )
    only_tools = asked.resource == url_of(request, MCP_PATH)
    body = CONSENT_BODY.format(
        about=_about(asked.app),
        action=_form_action(request),
        email=escape(email),
        token=escape(token),
        access_token=escape(access_token),
        started="1" if started else "",
        choices=choices,
        reach=TOOLS_REACH if only_tools else API_REACH,
        idle=f"{max(1, settings.oauth_idle // DAY_SECONDS)} days",
        until=f"{now() + timedelta(seconds=settings.oauth_absolute):%-d %B %Y}",
        target=escape(_describe_target(asked.redirect_uri)),
        warning="" if urlsplit(asked.redirect_uri).scheme == "https" else LOCAL_WARNING,
    )
    return _render("Connect an app", body)


def error_page(error: AppError, app_url: str = "", *, title: str = CONNECTING_FAILED, back: str = "") -> Response:
    """Returns a page for an error. ``app_url`` leads back to the app, if its address is known to be its own.

    ``back``: a page to go on from.
    """
    body = f'<p class="failed">{escape(error.detail)}</p>'
    if app_url:
        body += f'\n<p><a href="{escape(app_url)}">Back to {escape(_describe_target(app_url))}</a></p>'
    if back:
        body += f'\n<p><a href="{escape(back)}">Go back</a></p>'
    return _with_error(_render(title, body), error)


def _status(error: AppError) -> int:
    return STATUS_BY_KIND[error.kind]


def _about(app: OAuthApp) -> str:
    """Describes an app. Only the host that publishes its metadata is certain; the name is what it says of itself."""
    name = f"<strong>{escape(app.name)}</strong>"
    if app.host:
        return f"<p>{name}, an app of <strong>{escape(app.host)}</strong>, asks for access to your tasks.</p>"
    return f"<p>An app that calls itself {name} asks for access to your tasks.</p>"


def _describe_target(redirect_uri: str) -> str:
    parts = urlsplit(redirect_uri)
    if is_loopback(parts):
        return "a program on this computer"
    return parts.netloc if parts.scheme == "https" else f"the app that opens {parts.scheme}: links"
