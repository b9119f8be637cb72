"""The database: connections, the routine lane, and the runtimes that provide a server."""

from ta_lab2.db import errors as errors  # the classes of the SQLSTATEs that are raised here
