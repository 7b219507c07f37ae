"""SQL functions that columns and statements call, in the version that the migrations create."""

# Lower case, one compatibility form, no accents; the last two lines are for letters that have no decomposition.
# normalize() needs UTF-8, and ASCII skips it: 1 microsecond a task. Immutable, as generated columns require, which
# array_to_string() and the extension unaccent are not. The body is in both functions, since a dump is restored with an
# empty search_path, where neither would find the other.
_FOLD_BODY = r"""
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
    + _FOLD_BODY
)
# Title, tags, description, with a separator after each of the first two, so that one LIKE can match the field of a
# word; and a space before each word, so that it can match the beginning of a word.
SEARCH_TASK = (
    r"""
create or replace function search_task(title text, description text, tags text[]) returns text
language plpgsql immutable parallel safe as $$
declare
    value text := ' ' || translate(title, E'\x01\x02\t\n\r', '     ') || E' \x01 '
        || translate(array_to_string(tags, ' '), E'\x01\x02\t\n\r', '     ') || E' \x02 '
        || coalesce(translate(description, E'\x01\x02\t\n\r', '     '), '') || ' ';
begin"""
    + _FOLD_BODY
)
# The earliest instant of ``reminders`` later than ``after``, for a task with that due date in ``zone``.
# A duration begins with its sign; days and time of day are separate parts (app.models.task_reminders). Immutable, which
# a distributed database requires: it depends on no setting, since the instants among ``reminders`` have their offset.
NEXT_REMINDER = """
create or replace function
next_reminder(reminders text[], due_on date, due_at timestamptz, zone text, after timestamptz)
returns timestamptz language sql immutable set search_path = pg_catalog, pg_temp as $$
    select min(m.at)
    from unnest(reminders) r (text)
    cross join lateral (select case when r.text ~ 'P' then ltrim(r.text, '+-')::interval end as span,
                               case when r.text ~ '^-' then -1 else 1 end as sign) s
    cross join lateral (select make_interval(days => extract(day from s.span)::integer) as days) d
    cross join lateral (select case
        when s.span is null then r.text::timestamptz
        when due_on is not null then (due_on + s.sign * s.span) at time zone zone
        else ((due_at at time zone zone + s.sign * d.days) at time zone zone) + s.sign * (s.span - d.days)
    end as at) m
    where m.at > after
$$;
"""
# The latest instant before ``at``: no setting changes a microsecond, so this may be immutable where "-" is not.
JUST_BEFORE = """
create or replace function just_before(at timestamptz) returns timestamptz
language sql immutable parallel safe set search_path = pg_catalog, pg_temp
as $$ select at - interval '1 microsecond' $$;
"""
# The next moment after ``after`` at which it is ``digest_time`` in ``zone`` on one of ``digest_days``. A time that the
# clocks skip is as much later as they do; one that they repeat comes once. Immutable, which a distributed database
# requires: it depends on no setting, since ``digest_time`` is HH:MM.
NEXT_DIGEST = """
create or replace function next_digest(digest_time text, digest_days text[], zone text, after timestamptz)
returns timestamptz language sql immutable set search_path = pg_catalog, pg_temp as $$
    select min(m.at)
    from generate_series(-1, 8) n (days)
    cross join lateral (select (after at time zone zone)::date + n.days as day) d
    cross join lateral (select (d.day + digest_time::time) at time zone zone as at) m
    where ('{mon,tue,wed,thu,fri,sat,sun}'::text[])[extract(isodow from d.day)] = any(digest_days) and m.at > after
$$;
"""
# The revision of users who have not written yet: 0, until a restore begins a new epoch (``app.db.epoch``), which
# replaces the function. Stable, so that plans inline the number and are made anew when it is replaced: a statement that
# calls it takes as long as one with a literal (74 us a write, measured on 3,000).
INITIAL_REVISION = """
create or replace function initial_revision() returns bigint
language sql stable parallel safe as 'select {number}::bigint';
"""
SQL_FUNCTIONS = (
    SEARCH_FOLD,
    SEARCH_TASK,
    NEXT_REMINDER,
    JUST_BEFORE,
    NEXT_DIGEST,
    INITIAL_REVISION.format(number=0),
)
