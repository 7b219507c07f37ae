"""The reasons for which a token or a login is refused, for the operator: a response never has them."""

from enum import StrEnum


class RefusalReason(StrEnum):
    """The word in the log line of a refused request, and what to change. docs/accounts.md has the table of them."""

    remedy: str

    def __new__(cls, word: str, remedy: str) -> "RefusalReason":
        member = str.__new__(cls, word)
        member._value_ = word
        member.remedy = remedy
        return member

    # The form of a token
    TOKEN_TOO_LONG = (
        "token_too_long",
        "Leave the user's profile out of the claims: a token has at most 8,192 characters.",
    )
    NOT_A_JWT = (
        "not_a_jwt",
        "Send a signed JWT (Better Auth: the `token` of `/api/auth/token`), no session token or cookie.",
    )
    ENCRYPTED_JWT = (
        "encrypted_jwt",
        "Have the issuer sign access tokens instead of encrypting them (Auth0: name an audience).",
    )
    HEADER_UNREADABLE = (
        "header_unreadable",
        "The header is not a JSON object with `alg`; `kid` and `typ` are text or absent.",
    )
    TYP_NOT_ACCEPTED = "typ_not_accepted", "The header's `typ` must be `JWT`, `at+jwt` or absent: send an access token."
    CRIT_NOT_SUPPORTED = "crit_not_supported", "Have the issuer leave `crit` and `b64` out of the header."
    # The key
    ALG_NOT_ACCEPTED = "alg_not_accepted", "Have the issuer sign with one of the algorithms above."
    NO_SHARED_SECRET = "no_shared_secret", "Set `JWT_SECRET` to the secret of the front-end, which signs with HS256."
    NO_KEY_SET = (
        "no_key_set",
        "Set `BETTER_AUTH_URL`, or `JWKS_URL` and `JWT_ISSUER`: the token is signed with a private key.",
    )
    KID_MISSING = "kid_missing", "Have the issuer write `kid` into the header: its key set has several keys."
    KID_UNKNOWN = "kid_unknown", "The key set has no usable key of this `kid`: see `todo doctor`, and check `JWKS_URL`."
    KEYS_UNAVAILABLE = (
        "keys_unavailable",
        "The key set could not be fetched since the token came: see `jwks_unavailable` in the log.",
    )
    ALG_NOT_OF_KEY = (
        "alg_not_of_key",
        "The key of this `kid` is for another algorithm: publish its `alg` in the key set.",
    )
    SIGNATURE_INVALID = (
        "signature_invalid",
        "HS256: give both sides the same secret. Else: the key set is not that of the issuer who signed.",
    )
    OWN_KEY_CHANGED = (
        "own_key_changed",
        "The token names this service and another key: `JWT_SECRET`, `JWT_PRIVATE_KEY`, `TOKEN_ALGORITHM` or "
        "`PUBLIC_URL` has changed, or another service has the same `PUBLIC_URL`.",
    )
    # The claims
    CLAIMS_UNREADABLE = "claims_unreadable", "The claims are not a JSON object, or name a claim twice."
    ISS_MISSING = "iss_missing", "Have the issuer write `iss`."
    ISS_NOT_TEXT = "iss_not_text", "`iss` must be text."
    ISS_WRONG = (
        "iss_wrong",
        "Set `JWT_ISSUER` to the `iss` of the tokens, letter by letter (a slash at the end counts).",
    )
    ISS_OF_KEY_SET = (
        "iss_of_key_set",
        "A token of the shared secret names the issuer of the key set: only its published keys may sign for it.",
    )
    AUD_MISSING = (
        "aud_missing",
        "Have the issuer write `aud` (Keycloak: an audience mapper; Auth0, Clerk: an API or a template).",
    )
    AUD_NOT_TEXT = "aud_not_text", "`aud` must be text or a list of texts."
    AUD_WRONG = "aud_wrong", "Set `JWT_AUDIENCE` to an `aud` of the tokens, letter by letter."
    NOT_AN_ACCESS_TOKEN = (
        "not_an_access_token",
        "The claim in `claim` is that of an ID, refresh or session token: send the access token.",
    )
    SUB_MISSING = "sub_missing", "Have the issuer write `sub`, the id of the user."
    SUB_NOT_TEXT = "sub_not_text", "`sub` must be text: write numeric ids as text."
    SUB_TOO_LONG = "sub_too_long", "`sub` has at most 255 characters."
    SUB_NOT_ACCEPTED = (
        "sub_not_accepted",
        "`sub` must not be empty, and have neither invisible characters nor spaces around it.",
    )
    EXP_MISSING = "exp_missing", "Have the issuer write `exp`."
    TIME_NOT_INTEGER = "time_not_integer", "The claim in `claim` must be whole seconds since 1970."
    NOT_YET_VALID = "not_yet_valid", "`nbf` is `seconds` ahead, 5 are allowed: set the clocks of both machines by NTP."
    ISSUED_AHEAD = "issued_ahead", "`iat` is `seconds` ahead, 5 are allowed: set the clocks of both machines by NTP."
    EXPIRED = "expired", "Ordinary: the client gets a new token. If all are, compare the clocks of both machines."
    # Sessions and other tokens of this service
    SESSION_UNKNOWN = "session_unknown", "The session or its account was deleted, or the token is of another database."
    SESSION_ENDED = (
        "session_ended",
        "Ordinary: the session was logged out or revoked, or a refresh token was used twice.",
    )
    SESSION_EXPIRED = "session_expired", "Ordinary: see `REFRESH_IDLE` and `REFRESH_ABSOLUTE`."
    ACCOUNT_DISABLED = "account_disabled", "`todo user disable --undo` enables the account again."
    API_TOKEN_MALFORMED = "api_token_malformed", "The token was cut or mistyped: its checksum is wrong."
    API_TOKEN_UNKNOWN = "api_token_unknown", "The API token was deleted with its account, or is of another database."
    API_TOKEN_REVOKED = "api_token_revoked", "Ordinary: create another API token."
    API_TOKEN_EXPIRED = "api_token_expired", "Ordinary: create another API token."
    REFRESH_TOKEN_UNKNOWN = (
        "refresh_token_unknown",
        "The refresh token is mistyped, of a deleted session, or of another database.",
    )
    REFRESH_TOKEN_REUSED = "refresh_token_reused", "Two clients use one refresh token: its session was ended."
    RESET_TOKEN_UNKNOWN = (
        "reset_token_unknown",
        "The token is mistyped, was already used, is older than an hour, or a newer mail replaced it.",
    )
    FEED_TOKEN_UNKNOWN = "feed_token_unknown", "The calendar feed was revoked, or its URL is mistyped."
    METRICS_TOKEN_WRONG = "metrics_token_wrong", "Give Prometheus the value of `METRICS_TOKEN`."
    EMAIL_UNKNOWN = "email_unknown", "Ordinary. Many of them: somebody tries addresses."
    PASSWORD_WRONG = "password_wrong", "Ordinary. `todo user password` sets a new one."
