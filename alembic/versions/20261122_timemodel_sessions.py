"""timemodel: when a market is open: sessions, their calendar, and the session of each asset

A time zone is checked by PostgreSQL itself: ``at time zone`` is immutable and knows the
names; the pattern keeps out what it also takes, abbreviations and POSIX rules.
The sessions' numbers are unique at the end of a statement: a day that drops out of a
calendar moves all later ones.
"""

from alembic import op

revision = "20261122_timemodel_sessions"
down_revision = "20261122_features_returns"

COMMENTS = {
    "timemodel.dim_sessions": (
        "When a market is open: one row per exchange, or for all that trades around the clock.",
        {
            "session_id": "The name that assets refer to it by.",
            "session_name": "What it is, for people.",
            "is_24_7": "Always open: its sessions are the UTC days, computed and not stored.",
            "trading_days_per_week": "Sessions of a week without holidays.",
            "timezone": "The exchange''s time zone, a name of the IANA database.",
            "market_open": "When a session usually opens, local time.",
            "market_close": "When it usually closes, local time; not after the open: a day later.",
            "annualisation_days": "Sessions of a year: what daily volatility is annualised with.",
            "calendar": "The exchange''s name in exchange_calendars; null: around the clock, or loaded otherwise.",
            "calendar_from": "The first date that session_calendar covers; null: nothing loaded.",
            "calendar_to": "The last date that it covers.",
        },
    ),
    "timemodel.session_calendar": (
        "The sessions of every exchange by date, as known today; nothing of what is always open.",
        {
            "session_id": "The exchange.",
            "session_date": "The session''s date, as the exchange writes it.",
            "session_no": "Its place in the exchange''s calendar, from 0: only differences mean anything.",
            "opens_at": "When it opens.",
            "closes_at": "When it closes: the first moment after it.",
            "is_early_close": "It closes earlier than usual.",
        },
    ),
}


def upgrade() -> None:
    op.execute("""
        create table timemodel.dim_sessions (
            session_id            text primary key check (session_id ~ '^[A-Z][A-Z0-9_]{0,31}$'),
            session_name          text not null check (session_name <> ''),
            is_24_7               boolean not null,
            trading_days_per_week integer not null check (trading_days_per_week between 1 and 7),
            timezone              text not null,
            market_open           time not null,
            market_close          time not null,
            annualisation_days    integer not null check (annualisation_days between 1 and 366),
            calendar              text,
            calendar_from         date,
            calendar_to           date,
            constraint timezone_is_a_place check (
                timezone ~ '^(UTC|[A-Z][A-Za-z_]+(/[A-Z][A-Za-z_-]+)+)$'
                and timestamptz '2000-01-01 00:00+00' at time zone timezone is not null
            ),
            constraint times_are_of_a_day check (market_open < '24:00' and market_close < '24:00'),
            constraint around_the_clock_is_the_utc_day check (
                not is_24_7
                or (
                    trading_days_per_week = 7
                    and timezone = 'UTC'
                    and market_open = '00:00'
                    and market_close = '00:00'
                    and calendar is null
                    and calendar_from is null
                )
            ),
            constraint calendar_has_two_ends check (
                (calendar_from is null) = (calendar_to is null) and calendar_from <= calendar_to
            )
        )
    """)
    op.execute("""
        create table timemodel.session_calendar (
            session_id     text not null references timemodel.dim_sessions,
            session_date   date not null,
            session_no     integer not null check (session_no >= 0),
            opens_at       timestamptz not null,
            closes_at      timestamptz not null,
            is_early_close boolean not null,
            primary key (session_id, session_date),
            constraint session_calendar_no_key unique (session_id, session_no) deferrable,
            constraint sessions_open_before_they_close check (opens_at < closes_at)
        )
    """)
    op.execute("""
        insert into timemodel.dim_sessions (
            session_id, session_name, is_24_7, trading_days_per_week, timezone,
            market_open, market_close, annualisation_days, calendar
        )
        values (
            'CRYPTO', 'Crypto, around the clock', true, 7, 'UTC', '00:00', '00:00', 365, null
        ), (
            'EQUITY', 'New York Stock Exchange', false, 5, 'America/New_York',
            '09:30', '16:00', 252, 'XNYS'
        )
    """)
    op.execute("""
        alter table bars.dim_assets
            add column session_id text not null default 'CRYPTO' references timemodel.dim_sessions
    """)
    for table, (what, columns) in COMMENTS.items():
        op.execute(f"comment on table {table} is '{what}'")
        for column, meaning in columns.items():
            op.execute(f"comment on column {table}.{column} is '{meaning}'")
    op.execute(
        "comment on column bars.dim_assets.session_id is 'When its market is open: a row of dim_sessions.'"
    )
    op.execute("grant insert, update on timemodel.dim_sessions to ta_lab2_app")
    op.execute("grant insert, update, delete on timemodel.session_calendar to ta_lab2_app")
    op.execute(
        "grant select on timemodel.dim_sessions, timemodel.session_calendar to ta_lab2_research"
    )
    op.execute("""
        insert into ta_meta.table_class (schema_name, table_name, class)
        values ('timemodel', 'dim_sessions', 'dim'),
               ('timemodel', 'session_calendar', 'dim')
    """)
    op.execute("""
        create view published.dim_sessions as
        select
            s.session_id, s.session_name, s.is_24_7, s.trading_days_per_week, s.timezone,
            s.market_open, s.market_close, s.annualisation_days, s.calendar,
            s.calendar_from, s.calendar_to
        from timemodel.dim_sessions as s
    """)
    op.execute("""
        create view published.session_calendar as
        select
            c.session_id, c.session_date, c.session_no, c.opens_at, c.closes_at, c.is_early_close
        from timemodel.session_calendar as c
    """)
    for view in ["dim_sessions", "session_calendar"]:
        op.execute(f"comment on view published.{view} is 'timemodel.{view}, to be read.'")
    op.execute("""
        create or replace view published.dim_assets as
        select a.id, a.symbol, a.slug, a.session_id
        from bars.dim_assets as a
    """)


def downgrade() -> None:
    op.execute("drop view published.dim_assets")
    op.execute("""
        create view published.dim_assets as
        select a.id, a.symbol, a.slug
        from bars.dim_assets as a
    """)
    op.execute("comment on view published.dim_assets is 'bars.dim_assets, to be read.'")
    op.execute("alter table bars.dim_assets drop column session_id")
    for name in ["session_calendar", "dim_sessions"]:
        op.execute(f"drop view published.{name}")
        op.execute(f"drop table timemodel.{name}")
    op.execute("delete from ta_meta.table_class as c where c.schema_name = 'timemodel'")
