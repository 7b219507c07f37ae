"""Accounts as in tests/accounts, and a browser as in tests/web."""

from tests.accounts.conftest import Start, ann, mailing, no_attempts, post, start
from tests.web.conftest import browser

__all__ = ["Start", "ann", "browser", "mailing", "no_attempts", "post", "start"]
