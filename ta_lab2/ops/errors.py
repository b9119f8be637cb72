"""Errors that the routines of ``ops`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class CronElsewhere(DatabaseRaised, sqlstate="TA701"):
    """pg_cron lives in another database of this server, or in none."""

    exit_code = 2
