"""Checks of what the service depends on outside of its database: each a few seconds at most, all at once."""

import asyncio
import os
import shutil
import tempfile
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from app.assistant.optional import load_model
from app.auth.jwks import JwksCache
from app.auth.published_keys import describe_unusable, shorten
from app.auth.vapid_keys import VAPID_FILE_NAME, VAPID_REMEDY, load_vapid_key, vapid_subject
from app.commands.common import local_url
from app.commands.doctor.finding import Finding
from app.config import Settings
from app.errors import AssistantNotInstalled
from app.net.addresses import LOCAL_HOSTS
from app.net.mail import check_mail_server, describe_mail_error
from app.services.accounts.mail_texts import reset_page

PATIENCE_SECONDS = 8.0  # seconds for another server to answer; some delay the answer to a wrong password
MODEL_SECONDS = 15.0  # seconds for a model, which may have to be loaded first
MIN_FREE_BYTES = 512 * 2**20  # bytes that PostgreSQL and imports should find free
SHOWN_MESSAGE_MAX = 300  # characters of another server's message
PROBE_MESSAGES = [{"role": "user", "content": "Answer with the word ok."}]
PROBE_TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "get_status",
            "description": "Returns the status.",
            "parameters": {"type": "object", "properties": {}},
        },
    }
]


async def check_surroundings(settings: Settings) -> list[Finding]:
    """Runs the checks that apply to these settings, at the same time; returns the findings in their order."""
    checks: list[Awaitable[Finding]] = [_check_mail(settings)]
    if settings.jwks_url or settings.better_auth_url:
        checks.append(_check_keys(settings))
    if settings.public_base:
        checks.append(_check_public_url(settings))
    if settings.llm_model:
        checks.append(_check_assistant(settings))
    mail, *others = await asyncio.gather(*checks)
    return [mail, _check_push(settings), *others, *_check_storage(settings)]


async def _check_mail(settings: Settings) -> Finding:
    if settings.smtp_url is None:
        if settings.logs_mail:
            text = "to the log, reset tokens included: for development. Set SMTP_URL to send it"
            return Finding("mail", True, text)
        text = "none: a forgotten password is answered 503, and no reminder goes by mail. Set SMTP_URL"
        return Finding("mail", settings.registration != "mail", text)
    server = urlsplit(settings.smtp_url.get_secret_value())
    place = f"by {server.scheme}://{server.hostname}"
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await check_mail_server(settings)
    except TimeoutError:
        return Finding(
            "mail", False, f"{place}: no answer in {PATIENCE_SECONDS:.0f} s: check host and port of SMTP_URL"
        )
    except Exception as error:  # whatever the library or the server says
        return Finding("mail", False, f"{place}: {describe_mail_error(error)}: check SMTP_URL")
    entered = ", logged in" if server.username else ""
    link = "" if reset_page(settings) else ". RESET_URL and PUBLIC_URL are empty: mails have a token and no link"
    return Finding("mail", True, f"{place} as {settings.mail_from}{entered}{link}")


def _check_push(settings: Settings) -> Finding:
    if settings.vapid_private_key is None:
        if not settings.embedded:
            return Finding("push", True, f"off: set VAPID_PRIVATE_KEY, and {VAPID_REMEDY}")
        if not (settings.data_dir / VAPID_FILE_NAME).exists():
            return Finding("push", True, f"its key will be made at the first start, in {settings.data_dir}")
    try:
        load_vapid_key(settings)
    except (ValueError, OSError) as error:
        return Finding("push", False, str(error))
    if not (contact := vapid_subject(settings)):
        text = "no contact for push services, and Apple's refuses such messages: set PUBLIC_URL (https) or MAIL_FROM"
        return Finding("push", True, text)
    return Finding("push", True, f"a key, and {contact} as contact for push services")


async def _check_keys(settings: Settings) -> Finding:
    """Fetches the issuer's key set and names its keys."""
    cache = JwksCache.from_settings(settings)
    assert cache is not None
    try:
        await cache.refresh()
    finally:
        await cache.aclose()
    if cache.failure is not None:
        text = f"cannot be fetched: {cache.failure[:SHOWN_MESSAGE_MAX]}: check JWKS_URL or BETTER_AUTH_URL"
        return Finding("keys", False, text)
    keys, unusable = cache.key_set
    used = ", ".join(f"{shorten(key.kid)} ({'/'.join(key.algorithms)})" for key in keys) or "none"
    refused = "; ".join(map(describe_unusable, unusable))
    text = f"used: {used}" + (f"; not used: {refused}" if refused else "")
    if not keys and not unusable:
        text = "the issuer publishes none yet"
    return Finding("keys", bool(keys) or not unusable, text)


async def _check_public_url(settings: Settings) -> Finding:
    """Asks this service by the URL that its clients use."""
    parts = urlsplit(settings.public_base)
    async with httpx.AsyncClient(timeout=PATIENCE_SECONDS) as http:
        public, own = await asyncio.gather(
            _ask_health(http, settings.public_url), _ask_health(http, local_url(settings, settings.port))
        )
    if public and own:
        return Finding("public url", True, f"{settings.public_url} cannot be tried, no service runs here: {public}")
    if public:
        text = f"{settings.public_url} does not lead to the service that runs here: {public}. Check proxy and DNS"
        return Finding("public url", False, text)
    notes = []
    if parts.hostname not in LOCAL_HOSTS:
        if parts.scheme == "http":
            notes.append("passwords and tokens travel unencrypted: use https")
        if not settings.forwarded_allow_ips:
            notes.append("behind a proxy set FORWARDED_ALLOW_IPS to its IP address")
    return Finding("public url", True, ". ".join([f"{settings.public_url} answers", *notes]))


async def _ask_health(http: httpx.AsyncClient, url: str) -> str:
    """Returns why the service does not answer at ``url``; empty if it does."""
    try:
        answer = await http.get(f"{url}/health")
        if answer.status_code != 200:
            return f"status {answer.status_code} of /health"
        return "" if answer.json() == {"status": "ok"} else "another program answers"
    except ValueError:
        return "another program answers"
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        return f"{type(error).__name__}: {error}"[:SHOWN_MESSAGE_MAX]


async def _check_assistant(settings: Settings) -> Finding:
    """Asks the model one question, with a tool, as the chat does: some models support none."""
    try:
        await asyncio.to_thread(load_model)
    except AssistantNotInstalled as error:
        return Finding("assistant", False, error.detail)
    key = settings.llm_api_key.get_secret_value() if settings.llm_api_key else ""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    body = {"model": settings.llm_model, "messages": PROBE_MESSAGES, "tools": PROBE_TOOLS}
    place = f"{settings.llm_model} at {settings.llm_base_url}"
    try:
        async with asyncio.timeout(MODEL_SECONDS), httpx.AsyncClient(timeout=MODEL_SECONDS) as http:
            answer = await http.post(
                f"{settings.llm_base_url.rstrip('/')}/chat/completions", json=body, headers=headers
            )
    except (TimeoutError, httpx.TimeoutException):
        return Finding("assistant", False, f"{place} did not answer in {MODEL_SECONDS:.0f} s")
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        text = f"{place}: {type(error).__name__}: {error}"[:SHOWN_MESSAGE_MAX]
        return Finding("assistant", False, f"{text}: check LLM_BASE_URL")
    if answer.status_code == 200 and _model_message(answer) is None:
        return Finding("assistant", True, f"{place} answers")
    said = _model_message(answer) or answer.text
    said = " ".join((said.replace(key, "***") if key else said).split())[:SHOWN_MESSAGE_MAX]
    return Finding("assistant", False, f"{place} answered {answer.status_code}: {said}")


def _model_message(answer: httpx.Response) -> str | None:
    """Returns the message of an error, in any of the forms that servers use; None of an answer of the model."""
    try:
        body: Any = answer.json()
    except ValueError:
        return answer.text
    if isinstance(body, list) and body:  # Gemini's endpoint
        body = body[0]
    if not isinstance(body, dict) or isinstance(body.get("choices"), list):
        return None if isinstance(body, dict) else answer.text
    error = body.get("error", body.get("message", body.get("detail")))
    return str(error.get("message", error)) if isinstance(error, dict) else str(error or body)


def _check_storage(settings: Settings) -> list[Finding]:
    found = []
    temporary = Path(tempfile.gettempdir())
    if not os.access(temporary, os.W_OK | os.X_OK):
        found.append(Finding("temporary", False, f"{temporary} cannot be written to, and imports need it: set TMPDIR"))
    elif (free := shutil.disk_usage(temporary).free) < MIN_FREE_BYTES:
        found.append(Finding("temporary", False, f"{free / 2**30:.1f} GiB free in {temporary}, which imports use"))
    if settings.embedded and settings.data_dir.exists():
        free = shutil.disk_usage(settings.data_dir).free
        enough = free >= MIN_FREE_BYTES
        text = f"{free / 2**30:.1f} GiB free for {settings.data_dir}"
        found.append(Finding("disk", enough, text if enough else f"{text}: PostgreSQL stops when it is full"))
    return found
