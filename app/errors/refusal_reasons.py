"""The reasons for which a token or a login is refused, for the operator: a response never has them."""

from enum import StrEnum, auto


class RefusalReason(StrEnum):
    """The word in the log line of a refused request; docs/accounts.md lists what to do about each."""

    # The form of a token
    TOKEN_TOO_LONG = auto()
    NOT_A_JWT = auto()
    ENCRYPTED_JWT = auto()
    HEADER_UNREADABLE = auto()
    TYP_NOT_ACCEPTED = auto()
    CRIT_NOT_SUPPORTED = auto()
    # The key
    ALG_NOT_ACCEPTED = auto()
    NO_SHARED_SECRET = auto()
    NO_KEY_SET = auto()
    KID_MISSING = auto()
    KID_UNKNOWN = auto()
    KEYS_UNAVAILABLE = auto()
    ALG_NOT_OF_KEY = auto()
    SIGNATURE_INVALID = auto()
    OWN_KEY_CHANGED = auto()
    # The claims
    CLAIMS_UNREADABLE = auto()
    ISS_MISSING = auto()
    ISS_NOT_TEXT = auto()
    ISS_WRONG = auto()
    ISS_OF_KEY_SET = auto()
    AUD_MISSING = auto()
    AUD_NOT_TEXT = auto()
    AUD_WRONG = auto()
    NOT_AN_ACCESS_TOKEN = auto()
    SUB_MISSING = auto()
    SUB_NOT_TEXT = auto()
    SUB_TOO_LONG = auto()
    SUB_NOT_ACCEPTED = auto()
    EXP_MISSING = auto()
    TIME_NOT_INTEGER = auto()
    NOT_YET_VALID = auto()
    ISSUED_AHEAD = auto()
    EXPIRED = auto()
    # Sessions and other tokens of this service
    SESSION_UNKNOWN = auto()
    SESSION_ENDED = auto()
    SESSION_EXPIRED = auto()
    ACCOUNT_DISABLED = auto()
    API_TOKEN_MALFORMED = auto()
    API_TOKEN_UNKNOWN = auto()
    API_TOKEN_REVOKED = auto()
    API_TOKEN_EXPIRED = auto()
    REFRESH_TOKEN_UNKNOWN = auto()
    REFRESH_TOKEN_REUSED = auto()
    RESET_TOKEN_UNKNOWN = auto()
    FEED_TOKEN_UNKNOWN = auto()
    METRICS_TOKEN_WRONG = auto()
    EMAIL_UNKNOWN = auto()
    PASSWORD_WRONG = auto()
