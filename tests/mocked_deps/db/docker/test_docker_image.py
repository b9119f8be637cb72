"""Which image a new database gets, and that an old one keeps its own."""

from __future__ import annotations

import pytest

from ta_lab2.db.runtime import docker_image
from ta_lab2.db.runtime.docker_image import COMMUNITY, DEBIAN, DEBIAN_BASE
from ta_lab2.errors import Refused
from tests.mocked_deps.db.docker.fake_docker import FakeDocker

NO_REGISTRY = "Error response from daemon: lookup registry: no such host"


def test_an_image_that_is_present_is_taken_without_asking_a_registry(
    fake: FakeDocker, lines: list[str]
) -> None:
    fake.has(COMMUNITY, DEBIAN)
    assert docker_image.choose(lines.append) == COMMUNITY
    assert "on this machine already" in lines[-1]
    assert not fake.calls("docker pull")
    assert not fake.calls("docker build")


def test_the_debian_image_is_taken_when_only_that_is_present(
    fake: FakeDocker, lines: list[str]
) -> None:
    fake.has(DEBIAN)
    assert docker_image.choose(lines.append) == DEBIAN
    assert not fake.calls("docker pull")


def test_the_community_edition_is_pulled_and_built_first(
    fake: FakeDocker, lines: list[str]
) -> None:
    assert docker_image.choose(lines.append) == COMMUNITY
    assert fake.calls("docker pull")[0].words[-1] == docker_image.community_base()
    (build,) = fake.calls("docker build")
    assert build.words[-1].endswith("docker/postgres")
    assert f"--tag {COMMUNITY}" in build.line
    assert any("pulling" in line for line in lines)


def test_without_a_registry_debian_is_built_and_said(fake: FakeDocker, lines: list[str]) -> None:
    fake.has(DEBIAN_BASE)
    fake.answer("docker pull", err=NO_REGISTRY, status=1)
    assert docker_image.choose(lines.append) == DEBIAN
    (build,) = fake.calls("docker build")
    assert "Dockerfile.debian" in build.line
    assert any("no such host" in line for line in lines)
    assert any("Apache edition" in line for line in lines)


def test_a_community_build_that_fails_is_followed_by_debian(
    fake: FakeDocker, lines: list[str]
) -> None:
    fake.has(DEBIAN_BASE)
    fake.answer(f"--tag {COMMUNITY}", err="E: Unable to fetch some archives", status=100)
    assert docker_image.choose(lines.append) == DEBIAN
    assert any("Unable to fetch" in line for line in lines)


def test_with_neither_registry_nor_base_the_script_is_named(
    fake: FakeDocker, lines: list[str]
) -> None:
    fake.answer("docker pull", err=NO_REGISTRY, status=1)
    with pytest.raises(Refused, match=DEBIAN_BASE) as caught:
        docker_image.choose(lines.append)
    assert "docker/base.sh" in caught.value.hint
    assert "--runtime embedded" in caught.value.hint


@pytest.mark.parametrize("image", [COMMUNITY, "registry.example/other:1"])
def test_an_image_that_has_gone_is_never_replaced_by_another_edition(
    fake: FakeDocker, lines: list[str], image: str
) -> None:
    fake.has(DEBIAN, DEBIAN_BASE)
    fake.answer("docker pull", err=NO_REGISTRY, status=1)
    with pytest.raises(Refused, match="no such host") as caught:
        docker_image.fetch(image, lines.append)
    assert "never taken in its place" in caught.value.hint
    assert not fake.calls("docker build")


def test_an_image_of_the_users_own_is_pulled_and_not_built(
    fake: FakeDocker, lines: list[str]
) -> None:
    docker_image.fetch("registry.example/other:1", lines.append)
    assert fake.calls("docker pull")[0].words[-1] == "registry.example/other:1"
    assert not fake.calls("docker build")


def test_the_mirror_reaches_the_build_of_debian(fake: FakeDocker, lines: list[str]) -> None:
    fake.has(DEBIAN_BASE)
    docker_image.fetch(DEBIAN, lines.append, mirror="http://mirror.example/debian")
    assert "--build-arg MIRROR=http://mirror.example/debian" in fake.calls("docker build")[0].line


def test_renewing_takes_no_cached_packages(fake: FakeDocker, lines: list[str]) -> None:
    fake.has(DEBIAN, DEBIAN_BASE)
    fake.answer("docker pull", err=NO_REGISTRY, status=1)
    docker_image.renew(DEBIAN, lines.append)
    assert "--no-cache" in fake.calls("docker build")[0].line


def test_an_engine_that_fails_is_not_taken_for_one_without_the_image(fake: FakeDocker) -> None:
    fake.answer("image inspect", err="Cannot connect to the Docker daemon", status=1)
    with pytest.raises(docker_image.engine.CommandFailed, match="Cannot connect"):
        docker_image.is_present(DEBIAN)


def test_the_community_base_is_pinned_to_one_version() -> None:
    assert docker_image.community_base() == "timescale/timescaledb-ha:pg17.10-ts2.29.2"
