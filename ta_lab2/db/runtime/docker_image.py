"""Which image a project's container runs on, and how it comes to be on this machine."""

from __future__ import annotations

import re
from contextlib import suppress

from ta_lab2 import paths
from ta_lab2.db.runtime import docker_engine as engine
from ta_lab2.db.runtime.project import Say
from ta_lab2.errors import Refused

COMMUNITY = "ta-lab2-postgres:community"
DEBIAN = "ta-lab2-postgres:debian"
DEBIAN_BASE = "debian:trixie-slim"


def is_present(image: str) -> bool:
    """Say whether the engine has this image."""
    return image_id(image) is not None


def image_id(image: str) -> str | None:
    """Return the digest that a name stands for, None when the engine has no such image."""
    try:
        return engine.run("image", "inspect", "--format", "{{.Id}}", image)
    except engine.CommandFailed as error:
        if any("no such image" in line.lower() for line in error.output):
            return None
        raise


def choose(say: Say, *, mirror: str | None = None) -> str:
    """Return the image for a new database: one that is present, else pulled, else Debian's."""
    for image in (COMMUNITY, DEBIAN):
        if is_present(image):
            say(f"image: {image}, which is on this machine already")
            return image
    try:
        _build_community(say)
    except engine.CommandFailed as error:
        say(f"image: the community edition can't be had here ({error.what})")
        say(f"image: building {DEBIAN} from Debian's packages instead (Apache edition)")
        _build_debian(say, mirror=mirror)
        return DEBIAN
    return COMMUNITY


def fetch(image: str, say: Say, *, mirror: str | None = None) -> None:
    """Bring exactly this image onto the machine if it is not there: never another edition."""
    if is_present(image):
        return
    say(f"image: {image} is not on this machine")
    try:
        renew(image, say, mirror=mirror)
    except engine.CommandFailed as error:
        raise Refused(
            f"the image {image} can't be had here: {error.last}",
            "Load it or build it on this machine. Another edition is never taken in its place,"
            " because it could not read the data.",
        ) from None


def renew(image: str, say: Say, *, mirror: str | None = None) -> None:
    """Build or pull this image again, with the newest packages."""
    match image:
        case _ if image == COMMUNITY:
            _build_community(say, anew=True)
        case _ if image == DEBIAN:
            with suppress(engine.CommandFailed):  # where no registry answers, the base stays
                _pull(DEBIAN_BASE, say)
            _build_debian(say, mirror=mirror, anew=True)
        case _:
            _pull(image, say)


def community_base() -> str:
    """Return the image that the community one is built from, as its Dockerfile says."""
    text = (paths.shipped("docker") / "postgres" / "Dockerfile").read_text()
    found = re.search(r"^ARG BASE=(\S+)$", text, re.MULTILINE)
    if found is None:
        raise ValueError("docker/postgres/Dockerfile names no base")
    return found[1]


def _pull(image: str, say: Say) -> None:
    say(f"image: pulling {image}")
    engine.stream(["docker", "pull", image], say)


def _build_community(say: Say, *, anew: bool = False) -> None:
    _pull(community_base(), say)
    _build("Dockerfile", COMMUNITY, say, anew=anew)


def _build_debian(say: Say, *, mirror: str | None, anew: bool = False) -> None:
    if not is_present(DEBIAN_BASE):
        try:
            _pull(DEBIAN_BASE, say)
        except engine.CommandFailed as error:
            raise Refused(
                f"{DEBIAN_BASE} is not on this machine and can't be pulled: {error.last}",
                f"Make it from Debian's packages with `sh {paths.shipped('docker') / 'base.sh'}`,"
                " or do without an engine: `ta-lab2 db up --runtime embedded`.",
            ) from None
    extra = ["--build-arg", f"MIRROR={mirror}"] if mirror else []
    _build("Dockerfile.debian", DEBIAN, say, anew=anew, extra=extra)


def _build(
    dockerfile: str, image: str, say: Say, *, anew: bool, extra: list[str] | None = None
) -> None:
    context = paths.shipped("docker") / "postgres"
    say(f"image: building {image} (a minute or two)")
    engine.stream(
        [
            "docker",
            "build",
            "--tag",
            image,
            "--file",
            str(context / dockerfile),
            *(["--no-cache"] if anew else []),
            *(extra or []),
            str(context),
        ],
        say,
    )
