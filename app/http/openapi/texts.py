"""Texts of the OpenAPI document, for readers of /docs and for authors of clients."""

API_DESCRIPTION = """\
Tasks of many users, with projects, tags and comments. Each user sees only their own data.

**Try it in three steps.** Open *auth*, execute `POST /api/auth/register` with your e-mail address, and copy the
`access_token` of the response. Press **Authorize** and paste it. Execute `POST /api/{user_id}/tasks`: as `user_id` in a
path, `me` is the user of the token. From the command line:

```sh
curl -H "Authorization: Bearer $(todo token alice)" http://127.0.0.1:8000/api/me/tasks
```

**Errors** are `application/problem+json` (RFC 9457): `detail` is for people, `code` is stable and for programs, and
`request_id` finds the line in the log. Data of another user is 404, as if it did not exist.

**Lists** return `X-Revision`, the revision of the user's latest write, and an `ETag` for cheap polling. With a task's
`ETag` in `If-Match`, a change is made only if the task has not changed since; an `Idempotency-Key` makes any write safe
to repeat.
"""

BEARER_DESCRIPTION = """\
One of these, without the word Bearer before it:

- the `access_token` from `POST /api/auth/register` or `/api/auth/login`, valid for 15 minutes by default
- an API token (`todo_pat_...`) from `POST /api/auth/tokens`
- the token that `todo token alice` prints on the server, for a user `alice` without an account
- a token of your Better Auth server or another issuer, if the service is configured to accept it
"""

# In the order of a first visit.
TAG_DESCRIPTIONS = {
    "auth": "Start here: register, log in, and take the access token to Authorize. Accounts, sessions, passwords.",
    "tasks": "Tasks with due dates, subtasks, recurrence and a trash.",
    "projects": "Lists that group tasks. Tasks without a project are in the inbox.",
    "tags": "Labels of tasks: counted, renamed and merged across all of them.",
    "batch": "Many writes in one request.",
    "comments": "Notes on a task.",
    "views": "Saved list parameters under a name.",
    "stats": "Totals, streaks and overdue tasks.",
    "settings": "The user's time zone.",
    "changes": "Every write as a change with a revision: synchronisation, history, undo and live events.",
    "channels": "Where reminders and the daily digest are sent: browsers, ntfy, Gotify, Apprise, mail.",
    "webhooks": "The same changes, delivered in order to another service.",
    "transfer": "Export, import and the calendar feed.",
    "assistant": "A chat in plain language that works on the tasks. Requires the setting LLM_MODEL.",
    "tokens": "API tokens for scripts and agents, and the apps that the user has connected by OAuth.",
    "operations": "Health and readiness of the process.",
}
