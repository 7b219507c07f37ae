"""One-time passwords against the vectors of RFC 4226, appendix D, and RFC 6238, appendix B."""

from urllib.parse import parse_qs, urlsplit

import pytest

from app.domain.totp import TOTP_PERIOD, find_totp_step, totp_code, totp_uri

SECRET = b"12345678901234567890"
HOTP = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
TOTP = {
    59: "94287082",
    1111111109: "07081804",
    1111111111: "14050471",
    1234567890: "89005924",
    2000000000: "69279037",
    20000000000: "65353130",
}


@pytest.mark.parametrize(("count", "code"), list(enumerate(HOTP)))
def test_codes_by_a_counter_are_those_of_the_rfc(count: int, code: str) -> None:
    assert totp_code(SECRET, count) == code


@pytest.mark.parametrize(("moment", "code"), TOTP.items())
def test_codes_by_the_clock_are_those_of_the_rfc(moment: int, code: str) -> None:
    assert totp_code(SECRET, moment // TOTP_PERIOD, digits=8) == code
    assert find_totp_step(SECRET, code[2:], moment) == moment // TOTP_PERIOD


@pytest.mark.parametrize(("steps", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_differ_by_one_step(steps: int, accepted: bool) -> None:
    now = 1_900_000_015.0
    step = int(now) // TOTP_PERIOD + steps
    assert find_totp_step(SECRET, totp_code(SECRET, step), now) == (step if accepted else None)


@pytest.mark.parametrize("code", ["", "28708", "2870822", "٢٨٧٠٨٢", "287 82", "-87082", "287082\n"])
def test_what_is_not_a_code_is_none(code: str) -> None:
    assert find_totp_step(SECRET, code, 59.0) is None


def test_the_uri_has_all_that_an_app_needs() -> None:
    parts = urlsplit(totp_uri(SECRET, "Todo (todo.example)", "ann+x@example.com"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert parts.path == "/Todo%20%28todo.example%29:ann%2Bx@example.com"
    query = {"secret": ["GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"], "issuer": ["Todo (todo.example)"]}
    assert parse_qs(parts.query) == query
    assert "+" not in parts.query  # some apps do not read it as a space
