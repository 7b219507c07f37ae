"""Sign-in with OpenID Connect: the links of accounts to providers, and the sign-ins that have begun

Revision ID: 0018
Revises: 0017
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0018"
down_revision: str | None = "0017"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

LINKS = """
create table oidc_links (
    user_id text not null,
    id text not null,
    provider text not null,
    issuer text not null,
    subject text not null,
    email text not null default '',
    created_at timestamptz not null default now(),
    last_used_at timestamptz not null default now(),
    primary key (user_id, id),
    constraint oidc_links_user_id_fkey foreign key (user_id) references accounts (user_id)
);
create unique index oidc_links_by_subject on oidc_links (issuer, subject);
alter table oidc_links enable row level security;
alter table oidc_links force row level security;
create policy auth on oidc_links to todo_auth using (true) with check (true);
grant select, insert, update, delete on oidc_links to todo_auth;
create policy eraser on oidc_links to todo_eraser
    using (user_id = nullif(current_setting('app.user_id', true), ''));
grant select (user_id), delete on oidc_links to todo_eraser;
"""
# They belong to a browser, and live for ten minutes.
SIGN_INS = """
create table oidc_sign_ins (
    state_hash bytea primary key,
    browser_hash bytea not null,
    provider text not null,
    nonce text not null,
    verifier text not null,
    next_url text not null,
    linking_user_id text,
    linking_session_id text,
    expires_at timestamptz not null
);
create index oidc_sign_ins_by_end on oidc_sign_ins (expires_at);
alter table oidc_sign_ins enable row level security;
alter table oidc_sign_ins force row level security;
create policy auth on oidc_sign_ins to todo_auth using (true) with check (true);
grant select, insert, update, delete on oidc_sign_ins to todo_auth;
revoke all on oidc_sign_ins from todo_eraser;
"""


def upgrade() -> None:
    run_script(LINKS + SIGN_INS)


def downgrade() -> None:
    run_script("drop table oidc_sign_ins; drop table oidc_links;")
