"""Errors that the routines of ``observability`` raise."""

from __future__ import annotations

from ta_lab2.errors import DatabaseRaised


class CorrelationIdMalformed(DatabaseRaised, sqlstate="TA711"):
    """A correlation id is not 32 hex digits."""


class NameMalformed(DatabaseRaised, sqlstate="TA712"):
    """The name of a metric, operation, alert type, workflow or phase is not dotted lower case."""


class WordUnknown(DatabaseRaised, sqlstate="TA713"):
    """A status or severity is none of those that there are."""


class NotAnObject(DatabaseRaised, sqlstate="TA714"):
    """Tags or metadata are JSON, but no object."""


class TagMalformed(DatabaseRaised, sqlstate="TA715"):
    """A tag has a strange name, or a value that is nested, null or long."""


class ValueNotFinite(DatabaseRaised, sqlstate="TA716"):
    """A metric without a number."""


class ParentMissing(DatabaseRaised, sqlstate="TA717"):
    """A trace's parent is not there, or has another correlation id."""


class EndsBeforeStart(DatabaseRaised, sqlstate="TA718"):
    """A trace that is over lacks a time, or ends before it starts."""


class UnknownTrace(DatabaseRaised, sqlstate="TA719"):
    """A trace to be ended was never started."""


class TraceEnded(DatabaseRaised, sqlstate="TA71A"):
    """A trace to be ended has ended already."""


class AlertSaysNothing(DatabaseRaised, sqlstate="TA71B"):
    """An alert without a message, or with an empty problem."""


class UnknownWorkflow(DatabaseRaised, sqlstate="TA71C"):
    """A workflow to be moved was never begun."""


class WorkflowEnded(DatabaseRaised, sqlstate="TA71D"):
    """A workflow to be moved has ended already."""


class KeepTooShort(DatabaseRaised, sqlstate="TA71E"):
    """Pruning was asked for records of the last day."""
