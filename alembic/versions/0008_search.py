"""Search columns: the text of tasks and comments in lower case and without accents

Revision ID: 0008
Revises: 0007
"""

from collections.abc import Sequence

from app.db.migrations import run_script

revision: str = "0008"
down_revision: str | None = "0007"
branch_labels: Sequence[str] | None = None
depends_on: Sequence[str] | None = None

# Both functions contain the folding: a dump is restored with an empty search_path, so neither can call the other.
FUNCTIONS = r"""
create or replace function search_fold(value text) returns text language plpgsql immutable parallel safe as $$
begin
    if octet_length(value) = char_length(value) then
        return lower(value);
    end if;
    value := regexp_replace(normalize(value, nfkd),
        E'[\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f]', '', 'g');
    value := replace(replace(replace(lower(value), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
    return translate(value, E'øłđðħŧı\u03c2', E'olddhti\u03c3');
end $$;
create or replace function search_task(title text, description text, tags text[]) returns text
language plpgsql immutable parallel safe as $$
declare
    value text := ' ' || translate(title, E'\x01\x02\t\n\r', '     ') || E' \x01 '
        || translate(array_to_string(tags, ' '), E'\x01\x02\t\n\r', '     ') || E' \x02 '
        || coalesce(translate(description, E'\x01\x02\t\n\r', '     '), '') || ' ';
begin
    if octet_length(value) = char_length(value) then
        return lower(value);
    end if;
    value := regexp_replace(normalize(value, nfkd),
        E'[\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f]', '', 'g');
    value := replace(replace(replace(lower(value), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
    return translate(value, E'øłđðħŧı\u03c2', E'olddhti\u03c3');
end $$;
"""
COLUMNS = """
alter table tasks add column search_text text generated always as (search_task(title, description, tags)) stored;
alter table comments add column search_text text generated always as (search_fold(body)) stored;
"""


def upgrade() -> None:
    run_script(FUNCTIONS + COLUMNS)


def downgrade() -> None:
    run_script("""
alter table tasks drop column search_text;
alter table comments drop column search_text;
drop function search_task;
drop function search_fold;
""")
