"""The command ``ta-lab2``, also as ``python -m ta_lab2``."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line and exit with its status; Ctrl-C counts from the first import on."""
    try:
        # Takes a second.
        from ta_lab2 import cli
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted before anything was done\n")
        sys.exit(130)
    cli.main()


if __name__ == "__main__":
    main()
