"""``docker/postgres/Dockerfile``, on a stand-in for its base, which the tests can't pull.

The stand-in is Debian's image with an entrypoint that works as the real one does: it takes a
directory with PG_VERSION for whole, runs the scripts of /docker-entrypoint-initdb.d against a
server on the socket that has the same command line, and then becomes PostgreSQL. What is the
base's own (its packages and scripts) remains untested; see docker/README.md.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real_deps.docker.conftest import DOCKER, Serve, docker, in_volume

# The first of them waits for the image to be built.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]

ENTRYPOINT = """#!/bin/sh
set -eu
mkdir -p "$PGDATA"
if [ ! -s "$PGDATA/PG_VERSION" ]; then
    initdb --no-instructions -D "$PGDATA" --pwfile="$POSTGRES_PASSWORD_FILE" $POSTGRES_INITDB_ARGS
    shift
    pg_ctl -D "$PGDATA" -w start -o "$* -c listen_addresses=''"
    psql -U postgres -d postgres -c "create database \\"$POSTGRES_DB\\""
    for script in /docker-entrypoint-initdb.d/*.sh; do . "$script"; done
    pg_ctl -D "$PGDATA" -m fast -w stop
    set -- postgres "$@"
fi
exec "$@"
"""

DOCKERFILE = """
FROM {image}
USER root
COPY --chown=root:root docker-entrypoint.sh /docker-entrypoint.sh
RUN chmod 755 /docker-entrypoint.sh; \\
    rm -r /etc/ta-lab2 /usr/local/bin/*.sh; \\
    dpkg --purge --force-depends python3-numpy python3-scipy; \\
    mkdir /docker-entrypoint-initdb.d
USER postgres
"""


@pytest.fixture(scope="module")
def community(image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("stand-in")
    (folder / "docker-entrypoint.sh").write_text(ENTRYPOINT)
    (folder / "Dockerfile").write_text(DOCKERFILE.format(image=image))
    base = f"ta-lab2-test-base:{secrets.token_hex(4)}"
    built = f"ta-lab2-test-community:{secrets.token_hex(4)}"
    docker("build", "--quiet", f"--tag={base}", str(folder))
    try:
        docker(
            *("build", "--quiet", f"--tag={built}", f"--build-arg=BASE={base}"),
            str(DOCKER / "postgres"),
        )
        yield built
    finally:
        docker("image", "rm", "--force", built, base)


def test_it_starts_with_the_same_command_line_and_has_numpy(serve: Serve, community: str) -> None:
    with serve(community) as started, started.connect() as conn:
        for extension in ("timescaledb", "pg_cron", "vector", "plpython3u"):
            conn.execute(f"create extension if not exists {extension}")
        conn.execute(
            "do language plpython3u $$ import numpy, scipy.stats; plpy.notice(numpy.__version__) $$"
        )
        row = conn.execute("select current_setting('data_checksums')").fetchone()
        assert row == ("on",)
        assert docker("exec", started.id, "id", "-u") == "1000"


def test_a_first_start_that_was_cut_short_begins_again(
    serve: Serve, community: str, volume: str
) -> None:
    container = docker(
        *("run", "--detach", f"--volume={volume}:/home/postgres/pgdata"),
        *("--env=POSTGRES_PASSWORD_FILE=/etc/hostname", "--env=POSTGRES_DB=ta_lab2", community),
    )
    wait = 'until [ -s "$PGDATA/PG_VERSION" ]; do sleep 0.01; done'
    docker("exec", container, "sh", "-c", wait)
    docker("kill", "--signal=KILL", container)
    assert "data.first-start" in in_volume(community, volume, "ls").split()
    with serve(community, volume) as started, started.connect() as conn:
        assert conn.execute("select current_database()").fetchone() == ("ta_lab2",)
        left = in_volume(community, volume, "ls").split()
    assert "data.first-start" not in left
    # Put aside, not deleted.
    assert any(name.startswith("data.cut-short-") for name in left)


def test_a_whole_volume_is_not_begun_again(serve: Serve, community: str, volume: str) -> None:
    with serve(community, volume) as first, first.connect() as conn:
        conn.execute("create table kept as select 42 as answer")
    with (
        serve(community, volume, password=first.password) as second,
        second.connect() as conn,
    ):
        assert conn.execute("select answer from kept").fetchone() == (42,)
