"""The keys of a JWK set (RFC 7517): which are usable, for which algorithm, and why the others are not.

The type of a key and its ``alg`` decide which algorithm it verifies (RFC 8725, 3.1), never a token. Keys that could be
used to forge a token (symmetric or published private keys) are not used.
"""

import json
from typing import Any, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

MAX_KEYS = 100
RSA_BITS = range(2048, 8192 + 1)  # RFC 7518, 3.3 asks for 2048; far beyond 8192 a verification is slow
SUMMARY_KEYS = 20  # keys that a log line names
MEMBER_MAX = 60  # characters of a member of a key in a log line

# By type and curve, the one that is meant without ``alg`` first. EdDSA is the older name of Ed25519 and Ed448, which
# say the curve (RFC 9864): a key of such a curve has both names, and an RSA key one of its algorithms.
KEY_ALGORITHMS = {
    ("OKP", "Ed25519"): ("EdDSA", "Ed25519"),
    ("OKP", "Ed448"): ("EdDSA", "Ed448"),
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("RSA", None): ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"),
}
PUBLISHED_ALGORITHMS = frozenset(name for names in KEY_ALGORITHMS.values() for name in names)
_PUBLIC_MEMBERS = ("kty", "crv", "x", "y", "n", "e")


class PublishedKey(NamedTuple):
    """A usable key. ``algorithms`` are the names, one or two, of its one algorithm."""

    kid: str | None
    algorithms: tuple[str, ...]
    key: Any


class UnusableKey(NamedTuple):
    """A key that verifies nothing here: how it calls itself, and why."""

    kid: str
    kty: str
    alg: str
    problem: str


class KeySet(NamedTuple):
    """The keys of one response, in its order."""

    keys: list[PublishedKey]
    unusable: list[UnusableKey]

    def summary(self) -> dict[str, object]:
        """Returns the fields of a log line: the names of the keys, and why some are not used."""
        used = [f"{shorten(key.kid)} {key.algorithms[0]}" for key in self.keys[:SUMMARY_KEYS]]
        refused = [describe_unusable(key) for key in self.unusable[:SUMMARY_KEYS]]
        counts = {"keys": len(self.keys), "unusable": len(self.unusable)}
        return {**counts, "used": used, **({"not_used": refused} if refused else {})}


class KeyProblem(ValueError):
    """The reason why a key is not used."""


def describe_unusable(key: UnusableKey) -> str:
    return f"kid={key.kid} kty={key.kty} alg={key.alg}: {key.problem}"


def shorten(value: object) -> str:
    """Returns a member of a key for a log line: short and on one line, ``-`` where there is none."""
    text = "-" if value is None else str(value)
    return "".join(c if c.isprintable() else "?" for c in text[:MEMBER_MAX]) + ("..." if len(text) > MEMBER_MAX else "")


def parse_keys(body: bytes) -> KeySet:
    """Reads a JWK set. Raises ValueError if it is none.

    An empty set is valid: a new issuer has no key yet, and a compromised one may have revoked all.
    """
    try:
        document = json.loads(body.decode("utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deeply") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("not a JWK set")
    if len(entries) > MAX_KEYS:
        raise ValueError(f"more than {MAX_KEYS} keys")
    found = KeySet([], [])
    for entry in entries:
        members = {name: value for name, value in entry.items() if value is not None} if isinstance(entry, dict) else {}
        try:
            found.keys.append(_read_key(members))
        except KeyProblem as problem:
            kid, kty, alg = (shorten(members.get(name)) for name in ("kid", "kty", "alg"))
            found.unusable.append(UnusableKey(kid, kty, alg, str(problem)))
    return found


def _read_key(members: dict[str, Any]) -> PublishedKey:
    """Returns the key of ``members``, none of which is null. Raises KeyProblem."""
    _check_purpose(members)
    public = {name: members[name] for name in _PUBLIC_MEMBERS if name in members}
    if not all(isinstance(value, str) for value in public.values()):
        raise KeyProblem("kty, crv, x, y, n and e must be text")
    algorithms = _algorithms_of(members)
    try:
        key = PyJWK(public, algorithms[0]).key
    except (PyJWTError, UnsupportedAlgorithm, ValueError):  # their texts quote the key
        raise KeyProblem(f"its numbers are not those of a key of {_name_type(members)}") from None
    if isinstance(key, RSAPublicKey) and key.key_size not in RSA_BITS:
        raise KeyProblem(f"{key.key_size} bits: RSA keys have {RSA_BITS.start} to {RSA_BITS.stop - 1}")
    return PublishedKey(members.get("kid"), algorithms, key)


def _check_purpose(members: dict[str, Any]) -> None:
    """Raises KeyProblem for keys that do not verify, or that anybody could have signed with."""
    if members.get("kty") == "oct":
        raise KeyProblem("a published secret: anybody could sign with it")
    if "d" in members:
        raise KeyProblem("a published private key: anybody could sign with it")
    if members.get("use", "sig") != "sig":
        raise KeyProblem(f"use is {shorten(members['use'])}, not sig")
    operations = members.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        raise KeyProblem("key_ops does not have verify")
    if not isinstance(members.get("kid", ""), str):
        raise KeyProblem("kid must be text")


def _algorithms_of(members: dict[str, Any]) -> tuple[str, ...]:
    """Returns the names of the one algorithm of the key. Raises KeyProblem."""
    possible = KEY_ALGORITHMS.get((members.get("kty"), members.get("crv")))  # type: ignore[arg-type]  # None is a miss
    if possible is None:
        raise KeyProblem(f"no signature of {_name_type(members)} is accepted")
    named = members.get("alg", possible[0])
    if named not in possible:
        raise KeyProblem(f"alg {shorten(named)} is not one of {_name_type(members)}: {', '.join(possible)}")
    return possible if members.get("kty") == "OKP" else (named,)


def _name_type(members: dict[str, Any]) -> str:
    return " ".join(shorten(members[name]) for name in ("kty", "crv") if name in members) or "a key without kty"
