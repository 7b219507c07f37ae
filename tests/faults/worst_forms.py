"""The worst parameters and bodies of the OAuth endpoints: one is bad, the others next to it are as they should be."""

from collections.abc import Iterator, Mapping
from urllib.parse import urlencode

from tests.faults import worst_values as worst
from tests.faults.worst_requests import JSON_TYPE, PLACE, Case, Headers, Json, fields

FORM_TYPE = (b"Content-Type", b"application/x-www-form-urlencoded")
REDIRECT = "https://agent.example/callback"
BY_CODE = {"grant_type": "authorization_code", "client_id": "x", "code": "x", "code_verifier": "x" * 43}
BY_REFRESH = {"grant_type": "refresh_token", "client_id": "x", "refresh_token": "x", "scope": "read"}
AUTHORIZATION = {
    "response_type": "code",
    "redirect_uri": REDIRECT,
    "scope": "read",
    "state": "x",
    "code_challenge": "x" * 43,
    "code_challenge_method": "S256",
}
LOGIN = {"action": "login", "email": "ann@example.com", "password": "correct horse battery"}
ANSWER = {"action": "allow", "access_token": "x", "scope": "read", "started": "1"}
CODE = {"action": "factor", "challenge": "x", "code": "000000"}
PROOF = {"action": "factor", "access_token": "x", "started": "1", "passkey": '{"response": {}}'}
PASSKEY = {"action": "passkey", "passkey": '{"response": {}}'}
METADATA: Json = {
    "type": "object",
    "required": ["redirect_uris"],
    "properties": {
        "client_name": {"type": "string"},
        "redirect_uris": {"type": "array", "items": {"type": "string", "examples": [REDIRECT]}, "minItems": 1},
        "grant_types": {"type": "array", "items": {"type": "string"}},
        "scope": {"type": "string"},
    },
}


def token_cases() -> Iterator[Case]:
    for sent in (BY_CODE, BY_REFRESH):
        for case in _forms(b"/oauth/token", {**sent, "resource": "x", "redirect_uri": REDIRECT}):
            yield case._replace(refused=True)
    yield from _bodies(b"/oauth/token")


def revocation_cases() -> Iterator[Case]:
    """Yields the cases of a route that takes unknown tokens for revoked ones."""
    yield from _forms(b"/oauth/revoke", {"token": "x", "client_id": "x", "token_type_hint": "x"})
    yield from _bodies(b"/oauth/revoke")


def consent_cases(client_id: str, headers: Headers, forgery_token: str) -> Iterator[Case]:
    """Yields the cases for the forms of the page of one registered client, and for the URL of any page."""
    asked = authorization_query(client_id)
    target = b"/oauth/authorize?" + asked
    for sent in (LOGIN, ANSWER, CODE, PROOF, PASSKEY):
        yield from _forms(target, {**sent, "forgery_token": forgery_token}, headers)
    yield from _bodies(target, headers)
    for place, kind, query in _pairs({"client_id": client_id, **AUTHORIZATION, "resource": "x"}):
        yield Case(f"query {place}", kind, False, False, b"/oauth/authorize?" + query, (FORM_TYPE,), (b"action=x",))


def authorization_query(client_id: str) -> bytes:
    return urlencode({"client_id": client_id, **AUTHORIZATION}).encode()


def registration_cases() -> Iterator[Case]:
    for field in fields(METADATA, METADATA, "body", lambda value: value):
        for value in (*worst.core(), worst.Value("4,000 numbers", worst.repeated(b"1", 8_000))):
            content = field.around(value.json)
            yield Case(field.place, value.name, False, False, b"/oauth/register", (JSON_TYPE,), content)
        for run in worst.RUNS:
            content = field.around(run.text(7_500))
            yield Case(field.place, run.name, False, False, b"/oauth/register", (JSON_TYPE,), content)
    yield from _bodies(b"/oauth/register", content_type=JSON_TYPE)


def _forms(target: bytes, sent: Mapping[str, str], headers: Headers = ()) -> Iterator[Case]:
    for place, kind, content in _pairs(sent):
        yield Case(f"form {place}", kind, False, False, target, (FORM_TYPE, *headers), (content,))


def _pairs(sent: Mapping[str, str]) -> Iterator[tuple[str, str, bytes]]:
    """Yields place, kind and the urlencoded text, for each parameter with each worst value."""
    for name in sent:
        whole = urlencode({**sent, name: PLACE}).encode()
        before, _, after = whole.partition(urlencode({"": PLACE}).encode()[1:])
        room = worst.QUERY - len(whole)
        for kind, value in worst.URL_TEXTS.items():
            yield name, kind, before + value[:room] + after
        yield name, "twice", whole + b"&" + name.encode() + b"=x"
    yield "names", "3,800 of them", b"&a" * 3_800
    yield "names", "one of 7 KB", b"a" * 7_000


def _bodies(target: bytes, headers: Headers = (), content_type: tuple[bytes, bytes] = FORM_TYPE) -> Iterator[Case]:
    for body in worst.bodies():
        typed = any(name == b"Content-Type" for name, _ in body.headers)
        named = body.headers if typed else (content_type, *body.headers)
        yield Case("body", body.name, False, False, target, (*named, *headers), (body.content,))
