#!/usr/bin/env bash
# A day with curl. TODO_TOKEN=$(todo token alice) bash examples/tasks.sh
set -euo pipefail
URL=${TODO_URL:-${URL:-http://127.0.0.1:8000}}
TOKEN=${TODO_TOKEN:-${TOKEN:?set TODO_TOKEN, for example to the output of: todo token alice}}
call() { curl --fail-with-body -sS -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" "$@"; }
TASKS=$URL/api/me/tasks

# Sent twice, carried out once: the second response repeats the first.
KEY=$RANDOM$RANDOM
for _ in 1 2; do
    call "$TASKS" -H "Idempotency-Key: $KEY" -d '{"title": "Buy milk", "due_date": "2030-12-01", "tags": ["errands"]}' >task.json
done
ID=$(sed -E 's/.*"id":([0-9]+).*/\1/' task.json)

call "$TASKS?status=pending&tag=errands&sort=due_date"; echo
call -X PATCH "$TASKS/$ID" -d '{"title": "Buy oat milk"}'; echo
call -X PATCH "$TASKS/$ID/complete"; echo
call "$TASKS/$ID/history"; echo

# All changes since a revision, including deletions.
call -X DELETE "$TASKS/$ID"
call "$URL/api/me/changes?since=0"; echo
rm task.json
