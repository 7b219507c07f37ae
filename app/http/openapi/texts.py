"""What the OpenAPI document says in words: to who tries it at /docs, and to who generates a client from it."""

DESCRIPTION = """\
Tasks, and what belongs to them, of many users: each sees only their own.

**Try it in three steps.** Open *auth*, execute `POST /api/auth/register` with an e-mail of yours, and copy the
`access_token` of the answer. Press **Authorize** and paste it. Execute `POST /api/{user_id}/tasks`: where a path asks
for `user_id`, `me` is whoever the token belongs to. From the command line:

```sh
curl -H "Authorization: Bearer $(todo token alice)" http://127.0.0.1:8000/api/me/tasks
```

**Errors** are `application/problem+json` (RFC 9457): `detail` is for people, `code` is stable and for programs, and
`request_id` finds the line in the log. What belongs to somebody else is 404, like what does not exist.

**Lists** answer with `X-Revision`, the number of the user's latest write, and an `ETag` for cheap polling. A task's
`ETag` in `If-Match` lets a change land only if nobody was faster. An `Idempotency-Key` makes any write safe to repeat.
"""

BEARER_DESCRIPTION = """\
Any of these, without the word Bearer before it:

- the `access_token` that `POST /api/auth/register` or `/api/auth/login` answers, good for 15 minutes by default
- an API token (`todo_pat_...`) of `POST /api/auth/tokens`
- what `todo token alice` prints on the machine of the service, for a user `alice` without an account
- a token of your Better Auth server, or of another issuer, where the service is set up to accept it
"""

# In the order of a first visit.
TAGS = {
    "auth": "Start here: register, log in, and take the access token to Authorize. Accounts, sessions, passwords.",
    "tasks": "What there is to do: with dates, subtasks, repetition and a trash.",
    "projects": "Lists that group tasks. What is in none is in the inbox.",
    "tags": "Words on tasks, counted, renamed and merged across all of them.",
    "comments": "Notes under a task.",
    "views": "Lists under a name.",
    "stats": "Totals, streaks and what is overdue.",
    "settings": "The user's time zone.",
    "changes": "Every write as a numbered change: synchronisation, history, undo and live events.",
    "webhooks": "The same changes, delivered in order to another service.",
    "transfer": "Export, import and the calendar feed.",
    "assistant": "Talking to the service in plain language. It needs LLM_MODEL to be set.",
    "tokens": "Tokens for scripts and agents.",
    "operations": "Is it up, and is it ready?",
}
