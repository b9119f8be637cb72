"""PL/Python on the server: its packages, the bits of its arithmetic, what it can see."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import psycopg

from ta_lab2.db.doctor.finding import STARTER, SYSTEM, Finding, Mend

PYTHON = (3, 10)
# Oldest version of each package; any scipy that fits the numpy will do.
PACKAGES = {"numpy": (1, 21), "scipy": (1, 7)}
_LEAKS = re.compile(r"(_API_KEY|TOKEN|SECRET|PASSWORD)(?!.*_FILE$)|^PYTHONPATH$", re.IGNORECASE)

# Reads only, and answers through a setting of the transaction: it works on a standby too.
_PROBE = """
do language plpython3u $probe$
import json, math, os, sys

found = {"python": list(sys.version_info[:3]), "environment": sorted(os.environ),
         "disabled": os.environ.get("NPY_DISABLE_CPU_FEATURES", ""), "packages": {}}
for name in ("numpy", "scipy"):
    try:
        found["packages"][name] = __import__(name).__version__
    except Exception as error:
        found["packages"][name] = None
        found.setdefault("reasons", {})[name] = "%s: %s" % (type(error).__name__, error)

if found["packages"]["numpy"]:
    import numpy as np
    try:
        from numpy._core import _multiarray_umath as umath
    except ImportError:
        try:
            from numpy.core import _multiarray_umath as umath
        except ImportError:
            umath = None
    if umath is not None:
        found["features"] = [name for name in umath.__cpu_dispatch__
                             if umath.__cpu_features__.get(name)]
        # The same values one after another and as a column of a table: the two take other paths.
        xs = np.array([1.0 + i * 0.0019370001 for i in range(4096)])
        table = np.empty((4096, 3))
        table[:, 1] = xs
        functions = {
            "log": (np.log, math.log),
            "exp": (np.exp, math.exp),
            "power": (lambda x: np.power(x, 1.7), lambda x: math.pow(x, 1.7)),
        }
        found["other_bits"] = sorted(
            name
            for name, (fast, true) in functions.items()
            for x in (xs, table[:, 1])
            if fast(x).tolist() != [true(value) for value in x.tolist()]
        )

plan = plpy.prepare("select set_config('ta_lab2.probe', $1, true)", ["text"])
plpy.execute(plan, [json.dumps(found)])
$probe$
"""


@dataclass(frozen=True, slots=True)
class Python:
    """What PL/Python on the server says about itself."""

    version: tuple[int, ...]
    packages: dict[str, str | None]
    reasons: dict[str, str]
    features: tuple[str, ...] = ()
    other_bits: tuple[str, ...] = ()
    disabled: str = ""
    environment: tuple[str, ...] = ()

    @classmethod
    def of(cls, conn: psycopg.Connection[Any]) -> Self:
        """Return what PL/Python says; the login must be a superuser."""
        conn.execute(_PROBE)
        row = conn.execute("select current_setting('ta_lab2.probe')").fetchone()
        found = json.loads(row[0]) if row else {}
        return cls(
            version=tuple(found["python"]),
            packages=found["packages"],
            reasons=found.get("reasons", {}),
            features=tuple(found.get("features", ())),
            other_bits=tuple(sorted(set(found.get("other_bits", ())))),
            disabled=found["disabled"],
            environment=tuple(found["environment"]),
        )


def judge(python: Python) -> Iterator[Finding]:
    """Yield what is wrong with a server's Python."""
    if python.version < PYTHON:
        yield Finding(
            "python-version",
            f"PL/Python runs on Python {_dotted(python.version)}, older than {_dotted(PYTHON)}",
            Mend(
                "env -u TA_LAB2_DATABASE_URL ta-lab2 db up",
                "shell",
                "you: a server of ours beside it",
            ),
        )
    yield from _packages(python)
    yield from _arithmetic(python)
    leaks = [name for name in python.environment if _LEAKS.search(name)]
    if leaks:
        yield Finding(
            "environment-leak",
            f"the server's environment has {', '.join(leaks)}: PL/Python code can read it",
            Mend(f"unset {' '.join(leaks)}", "shell", f"{STARTER}, before it starts", "restart"),
        )


def fails(error: psycopg.Error) -> Finding:
    """Return the finding that PL/Python does not start, with the server's own words."""
    lines = str(error).strip().splitlines() or ["no message"]
    return Finding(
        "plpython-fails",
        f"PL/Python is installed but does not run: {lines[0]}",
        Mend(
            "apt-get install --reinstall -y postgresql-plpython3-17 libpython3-stdlib",
            "shell",
            SYSTEM,
        ),
    )


def _packages(python: Python) -> Iterator[Finding]:
    for name, oldest in PACKAGES.items():
        version = python.packages.get(name)
        if version is None:
            what = f"PL/Python can't import {name} ({python.reasons.get(name, 'no reason given')})"
        elif tuple(int(part) for part in re.findall(r"\d+", version)[:2]) < oldest:
            what = f"PL/Python has {name} {version}, older than {_dotted(oldest)}"
        else:
            continue
        mend = Mend(f"apt-get install -y python3-{name}", "shell", SYSTEM)
        yield Finding("python-package", what, mend)


def _arithmetic(python: Python) -> Iterator[Finding]:
    avx512 = [name for name in python.features if name.startswith("AVX512")]
    names = [*python.disabled.replace(",", " ").split(), *(avx512 or python.features)]
    mend = Mend(
        f"NPY_DISABLE_CPU_FEATURES='{' '.join(dict.fromkeys(names))}'",
        "environment",
        STARTER,
        "restart",
    )
    if python.other_bits:
        yield Finding(
            "numpy-arithmetic",
            f"numpy's {', '.join(python.other_bits)} differ from the C library's in their last "
            "bits: stored values would depend on the processor",
            mend,
        )
    if avx512:
        yield Finding(
            "numpy-avx512",
            f"numpy uses {', '.join(avx512)}, whose logarithms and powers have other bits than "
            "those of other processors",
            mend,
        )


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
