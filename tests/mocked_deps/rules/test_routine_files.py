"""House rules over ``sql/``: each failure says which file and what to do."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from ta_lab2.db import routines
from ta_lab2.db.slices import SLICES
from ta_lab2.errors import DatabaseRaised

ROOT = Path(__file__).parents[3]
FILES = routines.discover(ROOT / "sql")

# The third character of a SQLSTATE of ours names its slice.
CODES = {
    "0": {*SLICES},
    "1": {"timemodel"},
    "2": {"bars"},
    "3": {"indicators"},
    "4": {"features"},
    "5": {"signals"},
    "6": {"backtest"},
    "7": {"observability", "ops"},
    "8": {"orchestrator"},
    "9": {"memory"},
    "D": {"db"},
    "R": {"regimes"},
    "S": {"spend"},
    "X": {"research"},
}


def by_path(check: Callable[[routines.RoutineFile], None]) -> Callable[[], None]:
    """Hold every file to a rule, and tell all that break it at once."""

    def test() -> None:
        broken = []
        for file in FILES:
            try:
                check(file)
            except AssertionError as error:
                told = str(error)
                broken.append(told if file.path in told else f"{file.path}: {told}")
        assert not broken, "\n".join(broken)

    test.__doc__ = check.__doc__
    return test


def slice_of(file: routines.RoutineFile) -> str:
    return file.path.split("/")[1]


def code(file: routines.RoutineFile) -> str:
    """The text without comments and string literals' insides of ``comment on``."""
    text = re.sub(r"--[^\n]*", "", file.text)
    return re.sub(r"^comment on .*?;$", "", text, flags=re.MULTILINE | re.DOTALL)


def statements(file: routines.RoutineFile) -> Iterator[tuple[str, str, str]]:
    """Each ``create``: kind, name, and what stands between the name and the body."""
    pattern = re.compile(
        r"^create (?:or replace )?(function|procedure|aggregate) (\w+\.\w+)\s*\((.*?)"
        r"(?=^as \$|^begin atomic|^return |\);$)",
        re.MULTILINE | re.DOTALL,
    )
    for match in pattern.finditer(file.text):
        yield match[1], match[2], match[3]


def test_there_are_routine_files():
    assert len(FILES) > 1


@by_path
def test_a_file_lies_in_the_folder_of_its_slice(file):
    assert slice_of(file) in SLICES, f"sql/{file.path}: the folder is no slice; see db/slices.py"


@by_path
def test_a_file_makes_one_public_routine_and_its_name_is_the_path(file):
    stem = Path(file.path).stem
    public = {name for _, name in file.creates if not name.split(".")[1].startswith("_")}
    allowed = {f"{slice_of(file)}.{stem}", f"public.{stem}"}
    assert len(public) == 1, f"sql/{file.path} makes {sorted(public)}; one public routine a file"
    assert public <= allowed, f"sql/{file.path} makes {public.pop()}; rename the file or it"


@by_path
def test_private_parts_stay_in_the_schema_of_the_slice(file):
    for _, name in file.creates:
        schema, routine = name.split(".")
        if routine.startswith("_"):
            assert schema == slice_of(file), f"sql/{file.path}: move {name} to {slice_of(file)}"


@by_path
def test_functions_and_procedures_have_lanes_of_their_own(file):
    wanted = {"functions": {"function", "aggregate"}, "procedures": {"procedure", "function"}}
    lane = file.path.split("/")[0]
    public = [kind for kind, name in file.creates if not name.split(".")[1].startswith("_")]
    assert set(public) <= wanted[lane] - ({"function"} if lane == "procedures" else set())


@by_path
def test_the_first_line_says_what_the_routine_is(file):
    first = file.text.splitlines()[0]
    name = re.escape(Path(file.path).stem)
    assert re.fullmatch(rf"-- (\w+\.)?{name}\(.*\): .+\.", first), (
        f"sql/{file.path}: begin with `-- schema.name(args): what it is, as what.`"
    )
    assert file.text.splitlines()[1] == "--", f"sql/{file.path}: then an empty `--`"


@by_path
def test_the_header_shows_a_call(file):
    header = [line for line in file.text.splitlines() if line.startswith("--     ")]
    assert header, f"sql/{file.path}: show a call in the header, indented by four spaces"


@by_path
def test_a_function_says_its_volatility_and_whether_it_is_parallel_safe(file):
    for kind, name, contract in statements(file):
        if kind == "procedure":
            continue
        if kind == "function":
            assert re.search(r"\b(immutable|stable|volatile)\b", contract), (
                f"sql/{file.path}: say immutable, stable or volatile for {name}"
            )
        assert re.search(r"\bparallel\b", contract), f"sql/{file.path}: say parallel for {name}"


@by_path
def test_every_routine_is_commented(file):
    for kind, name in file.creates:
        assert re.search(rf"^comment on {kind} {re.escape(name)}\b", file.text, re.MULTILINE), (
            f"sql/{file.path}: comment on {kind} {name}"
        )


@by_path
def test_private_comments_start_with_private(file):
    for match in re.finditer(r"^comment on \w+ \w+\._.*? is\s+'(.*?)'", file.text, re.M | re.S):
        assert match[1].startswith("Private: "), f"sql/{file.path}: {match[1]!r}"


@by_path
def test_a_procedure_has_no_set_clause_and_is_no_definer(file):
    for kind, name, contract in statements(file):
        if kind == "procedure":
            assert "security definer" not in contract, f"{name} could not commit"
            assert not re.search(r"^set ", contract, re.MULTILINE), f"{name} could not commit"


@by_path
def test_keywords_are_lower_case(file):
    shouted = re.findall(
        r"\b(SELECT|FROM|CREATE|INSERT|UPDATE|DELETE|WHERE|BEGIN|END)\b", code(file)
    )
    assert not shouted, f"sql/{file.path}: {shouted[0]}"


def layers() -> list[set[str]]:
    """The layers of pyproject.toml, the top first."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = project["tool"]["importlinter"]["contracts"][0]["layers"]
    return [{name.strip("() ") for name in line.split("|")} for line in lines]


def test_every_slice_has_a_layer():
    known = set().union(*layers())
    assert set(SLICES) <= known, f"add {set(SLICES) - known} to the layers in pyproject.toml"


@by_path
def test_sql_reaches_downwards_only(file):
    order = layers()
    height = {name: depth for depth, row in enumerate(order) for name in row}
    here = slice_of(file)
    for other in set(re.findall(r"\b(\w+)\.\w+", code(file))) & set(SLICES) - {here}:
        assert height[other] > height[here], (
            f"sql/{file.path} ({here}) reaches up to {other}; move it to a higher slice"
        )


@by_path
def test_only_ops_knows_pg_cron(file):
    assert slice_of(file) == "ops" or not re.search(r"\bcron\.", code(file)), file.path


@by_path
def test_only_db_knows_timescaledb(file):
    words = r"timescaledb|create_hypertable|time_bucket|\bcontinuous\b|chunk_time_interval"
    assert slice_of(file) == "db" or not re.search(words, code(file)), (
        f"sql/{file.path}: TimescaleDB's own functions stay behind db's names"
    )


@by_path
def test_a_function_asks_for_the_modules_that_it_takes_from_gd(file):
    """Tests of one session would not notice: whichever came before may have asked."""
    for body in re.findall(r"^as \$\$$(.*?)^\$\$;$", file.text, re.MULTILINE | re.DOTALL):
        # What makes a module is asked for by whoever asks for that.
        if 'if "made" in SD:' in body:
            continue
        for module in set(re.findall(r'GD\["(\w+)"\]', body)):
            made_by = "_kernel" if module == "indicators" else f".{module}"
            assert f"{made_by}()" in body, f'{file.path}: plpy.execute("select ...{made_by}()")'


@by_path
def test_nothing_asks_for_the_wall_clock_inside_a_computation(file):
    if slice_of(file) in {"indicators", "features", "regimes", "signals", "backtest"}:
        assert not re.search(r"\bnow\(\)|current_date|current_timestamp", code(file)), (
            f"sql/{file.path}: take p_at or p_known_at"
        )


def raised() -> dict[str, set[str]]:
    """Every SQLSTATE of ours that the files raise, with the slices that raise it."""
    found: dict[str, set[str]] = {}
    for file in FILES:
        for state in re.findall(r"['\"](TA[0-9A-Z]{3})['\"]", code(file)):
            found.setdefault(state, set()).add(slice_of(file))
    return found


def test_every_sqlstate_of_ours_has_its_class_and_the_reverse():
    import ta_lab2.cli  # noqa: F401 - brings every slice's errors in

    classes = set(DatabaseRaised.by_sqlstate)
    states = set(raised())
    assert states - classes == set(), "give each a class (class X(DatabaseRaised, sqlstate=...))"
    assert classes - states == set(), "these classes name a SQLSTATE that no file raises"


def test_a_sqlstate_carries_the_letter_of_its_slice():
    for state, slices in raised().items():
        assert slices <= CODES[state[2]], f"{state} is raised by {slices}"
        assert not state.endswith("00"), f"{state}: a code is one situation"


def test_a_revision_never_reads_the_routines():
    for path in (ROOT / "alembic" / "versions").glob("*.py"):
        text = path.read_text()
        assert "routines" not in re.findall(r"^(?:from|import) .*", text, re.MULTILINE)
        assert "read_text" not in text, f"{path.name}: a revision owns state, not behaviour"


def test_a_revision_is_named_like_its_file():
    for path in (ROOT / "alembic" / "versions").glob("*.py"):
        assert f'revision = "{path.stem}"' in path.read_text(), path.name
        assert re.fullmatch(r"\d{8}_[a-z]+_[a-z0-9_]+", path.stem), f"{path.name}: date_slice_what"
