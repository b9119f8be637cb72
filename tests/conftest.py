"""What every test shares: the tier from the folder, and databases.

``server_url``  a superuser's URL of a server that tests may use, never the user's own
``db_engine``   an engine on one migrated database of the whole run
``db_session``  a session on it, rolled back at the end; ``tx`` is its psycopg connection
``own_db``      a migrated database of the test's own, for what commits
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.orm import Session

from ta_lab2.db import migrate
from ta_lab2.db.runtime import machine
from ta_lab2.db.runtime.project import Project
from ta_lab2.db.runtime.rootfs import RootFileSystem
from ta_lab2.settings import Settings, settings
from tests.support import servers

TESTS = Path(__file__).parent
#: In the names of the files with the contract's tests.
CONTRACT = "contract"

# A run in the background ignores Ctrl-C, and so would every program that tests interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write the golden listings anew, to be reviewed",
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the marker of its folder; nobody types it. What takes longest comes first."""
    for item in items:
        item.add_marker(item.path.relative_to(TESTS).parts[0])
    items.sort(
        key=lambda item: (
            item.get_closest_marker("real_deps") is None,
            CONTRACT not in item.path.name,
        )
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Let two workers share the tests, each with a server of its own; a given server has one."""
    return 0 if os.environ.get("TA_LAB2_TEST_DATABASE_URL") else 2


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Keep a file together, and on one worker all that installs packages and starts servers.

    Tests of the contract share nothing and take minutes: whichever worker is free has the next.
    """
    from xdist.scheduler import LoadScopeScheduling

    class ByFile(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.partition("::")[0]
            if CONTRACT in Path(file).name:
                return nodeid
            return "real_deps" if file.startswith("tests/real_deps/") else file

    return ByFile(config, log)


@pytest.fixture(scope="session", autouse=True)
def _own_environment() -> Iterator[None]:
    """Keep the user's settings out: no test ever reads the user's own database."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("TA_LAB2_", "PG")) and not name.startswith("TA_LAB2_TEST_"):
                patch.delenv(name)
        # A .env of the checkout is the user's too; an empty variable counts as unset.
        patch.setenv("TA_LAB2_DATABASE_URL", "")
        patch.setenv("TA_LAB2_ADMIN_URL", "")
        yield


@pytest.fixture(scope="session")
def server_url() -> Iterator[str]:
    """A superuser's URL of the test server: TA_LAB2_TEST_DATABASE_URL, else one made here."""
    with servers.test_server() as url:
        yield url


@pytest.fixture(scope="session")
def rootfs() -> Path:
    """The embedded runtime's root file system, for tests that run a server of their own."""
    machine.service_account()
    with RootFileSystem.shipped(Project.of(Settings()).cache, None).in_use(servers.say) as build:
        # The lock is only for finding it: a test of upgrades must not wait for the whole run.
        return build


@pytest.fixture(scope="session")
def template(server_url: str) -> Iterator[str]:
    """The name of the migrated database that the others are copied from."""
    with servers.database(server_url, "template") as name:
        migrate.migrate(make_conninfo(server_url, dbname=name), say=lambda _: None, ours=True)
        servers.close_to_connections(server_url, name)
        yield name


@pytest.fixture
def empty_db(server_url: str) -> Iterator[str]:
    """A database without anything of ours, as a superuser's conninfo."""
    with servers.database(server_url, "empty") as name:
        yield make_conninfo(server_url, dbname=name)


@pytest.fixture(scope="module")
def original(template: str) -> str:
    """What own_db is a copy of; a file whose tests begin alike fills one, by servers.filled."""
    return template


@pytest.fixture
def own_db(server_url: str, original: str) -> Iterator[str]:
    """A migrated database of this test's own, as a superuser's conninfo."""
    with servers.copy(server_url, "own", template=original) as conninfo:
        yield conninfo


@pytest.fixture
def untouched_db(server_url: str, template: str) -> Iterator[str]:
    """The same, with nothing in it whatever the file's tests begin with."""
    with servers.copy(server_url, "untouched", template=template) as conninfo:
        yield conninfo


@pytest.fixture(scope="session")
def shared_db(server_url: str, template: str) -> Iterator[str]:
    """The migrated database of all tests that roll back, as a superuser's conninfo."""
    with servers.copy(server_url, "shared", template=template) as conninfo:
        yield conninfo


@pytest.fixture(scope="session")
def db_engine(shared_db: str) -> Iterator[Engine]:
    """An engine on the shared database; one session serves all tests, and forgets between them.

    It keeps what costs most of a short test: the modules that PL/Python has imported.
    """
    engine = create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg.connect(shared_db),
        pool_size=1,
        pool_pre_ping=True,
    )

    @event.listens_for(engine, "checkout")
    def forget(connection: psycopg.Connection, *_: object) -> None:
        connection.autocommit = True
        connection.execute("discard all")
        connection.autocommit = False

    yield engine
    engine.dispose()


@pytest.fixture
def db_session(db_engine: Engine) -> Iterator[Session]:
    """A session on the shared database; whatever the test does is rolled back."""
    with db_engine.connect() as connection:
        transaction = connection.begin()
        with Session(bind=connection, join_transaction_mode="create_savepoint") as session:
            yield session
        transaction.rollback()


@pytest.fixture
def tx(db_session: Session) -> psycopg.Connection:
    """The psycopg connection under ``db_session``."""
    raw = db_session.connection().connection.driver_connection
    assert isinstance(raw, psycopg.Connection)
    return raw


@pytest.fixture
def means(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Let the settings mean a database, which the commands then work on, in so wide a terminal."""

    def mean(conninfo: str, *, columns: int = 80) -> None:
        monkeypatch.setenv("TA_LAB2_DATABASE_URL", conninfo)
        monkeypatch.setenv("COLUMNS", str(columns))
        settings.cache_clear()

    yield mean
    settings.cache_clear()


@pytest.fixture
def autocommit() -> Iterator[Callable[[str], psycopg.Connection]]:
    """Open connections in autocommit mode, as the procedures want; closed at the end."""
    opened: list[psycopg.Connection] = []

    def connect(conninfo: str) -> psycopg.Connection:
        opened.append(psycopg.connect(conninfo, autocommit=True))
        return opened[-1]

    yield connect
    for connection in opened:
        connection.close()
