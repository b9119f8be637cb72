"""Diagnosis of any PostgreSQL: what ta_lab2 lacks there, each with the line that mends it."""

from ta_lab2.db.doctor.examination import Expected, examine
from ta_lab2.db.doctor.finding import SEVERITIES, Finding, Mend, Severity

__all__ = ["SEVERITIES", "Expected", "Finding", "Mend", "Severity", "examine"]
