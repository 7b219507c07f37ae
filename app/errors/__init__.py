"""Application errors. Each has a kind, a stable code and a message for people.

Services raise them; only ``app.http.problems`` maps kinds to HTTP statuses. There is one file per noun; this package
exports all of them: ``from app.errors import TaskNotFound``.
"""

# ruff: noqa: F403
from app.errors.accounts import *
from app.errors.assistant import *
from app.errors.batch import *
from app.errors.calendar_feeds import *
from app.errors.changes import *
from app.errors.channels import *
from app.errors.comments import *
from app.errors.kinds import *
from app.errors.oauth import *
from app.errors.oidc import *
from app.errors.operations import *
from app.errors.quick_add import *
from app.errors.refusal_reasons import *
from app.errors.requests import *
from app.errors.tags import *
from app.errors.tasks import *
from app.errors.transfer import *
from app.errors.uids import *
from app.errors.views import *
