"""Makes a checkout ready: ``python3 -E -s -m ta_lab2.bootstrap [--no-database | --tests]``."""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from ta_lab2.bootstrap import environment, packages, programs
from ta_lab2.bootstrap.programs import Stop

OLDEST, NEWEST = (3, 11), (3, 13)
ROOT = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make the checkout ready and return the exit status."""
    parser = argparse.ArgumentParser(prog="ta_lab2.bootstrap", description="Sets a checkout up.")
    purpose = parser.add_mutually_exclusive_group()
    purpose.add_argument("--no-database", action="store_true", help="for tools without a server")
    purpose.add_argument("--tests", action="store_true", help="for tests, which start their own")
    options = parser.parse_args(arguments)
    try:
        use_fitting_python()
        if options.no_database:
            needs = packages.for_environment()
        elif options.tests:
            needs = packages.for_tests()
        else:
            needs = packages.for_database(ROOT)
        prepare(ROOT, needs)
    except Stop as stop:
        print(f"error: {stop.what}\n  {stop.hint}", file=sys.stderr)
        return stop.status
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        return 130
    except OSError as error:
        print(f"error: {error.filename or 'the set-up'}: {error.strerror}", file=sys.stderr)
        return 2
    return 0


def use_fitting_python() -> None:
    """Go on in a Python from 3.11 to 3.13 outside any venv: in this one, or replaced by it."""
    in_venv = sys.prefix != sys.base_prefix
    if not in_venv and OLDEST <= sys.version_info[:2] <= NEWEST:
        return
    # The venv may be the one that is about to be removed: the Python below it is the one to use.
    below = [getattr(sys, "_base_executable", "")] if in_venv else []
    named = [f"python3.{minor}" for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    probe = "import sys; print(*sys.version_info[:2], sys.prefix == sys.base_prefix)"
    for candidate in below + [found for found in map(shutil.which, named) if found]:
        with contextlib.suppress(OSError):
            said = programs.ask([candidate, "-I", "-c", probe]).stdout.split()
            if said[2:] == ["True"] and OLDEST <= (int(said[0]), int(said[1])) <= NEWEST:
                again = [candidate, "-E", "-s", "-m", "ta_lab2.bootstrap", *sys.argv[1:]]
                os.chdir(ROOT)
                os.execv(candidate, again)  # noqa: S606 - no shell is what we want
    here = ".".join(map(str, sys.version_info[:3]))
    raise Stop(
        f"Python {here} ({sys.executable}) does not fit: ta_lab2 takes Python 3.11 to 3.13",
        "Install one of these, or name it: `make PYTHON=/path/to/python3.12 ...`.",
    )


def prepare(root: Path, needs: Sequence[packages.Need]) -> None:
    """Install what is missing and make ``.venv``; one set-up of a checkout works at a time."""
    lacking, ready = packages.missing(needs), environment.is_ready(root)
    if ready and not lacking:
        return
    if not ready:
        environment.require_place(root)
    with environment.only_one(root) as held:
        # Whoever held the lock before us may have done it all.
        lacking = packages.missing(needs)
        if lacking:
            packages.install(lacking)
        if not environment.is_ready(root):
            environment.make(root, held)
            programs.say("the environment is ready")


if __name__ == "__main__":
    sys.exit(main())
