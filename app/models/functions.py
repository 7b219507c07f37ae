"""The database's own functions, which generated columns call. What is here is what migrations have made of them."""

# Lower case, compatibility forms made one, accents gone; the last two lines are for letters that are not made of two.
# normalize() knows UTF-8 only, and ASCII needs none of it: 1 microsecond a task. Immutable, as columns want it, which
# array_to_string() and the extension unaccent are not. The same text in both: a dump is restored with an empty
# search_path, where neither would find the other.
_FOLD = r"""
    if octet_length(value) = char_length(value) then
        return lower(value);
    end if;
    value := regexp_replace(normalize(value, nfkd),
        E'[\\u0300-\\u036f\\u1ab0-\\u1aff\\u1dc0-\\u1dff\\u20d0-\\u20ff\\ufe20-\\ufe2f]', '', 'g');
    value := replace(replace(replace(lower(value), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe');
    return translate(value, E'øłđðħŧı\u03c2', E'olddhti\u03c3');
end $$;
"""
SEARCH_FOLD = (
    r"""
create or replace function search_fold(value text) returns text language plpgsql immutable parallel safe as $$
begin"""
    + _FOLD
)
# Title, tags, description, with a separator behind each of the first two, so that one LIKE can say where a word is;
# and a space before each word, so that it can say how it begins.
SEARCH_TASK = (
    r"""
create or replace function search_task(title text, description text, tags text[]) returns text
language plpgsql immutable parallel safe as $$
declare
    value text := ' ' || translate(title, E'\x01\x02\t\n\r', '     ') || E' \x01 '
        || translate(array_to_string(tags, ' '), E'\x01\x02\t\n\r', '     ') || E' \x02 '
        || coalesce(translate(description, E'\x01\x02\t\n\r', '     '), '') || ' ';
begin"""
    + _FOLD
)
FUNCTIONS = (SEARCH_FOLD, SEARCH_TASK)
