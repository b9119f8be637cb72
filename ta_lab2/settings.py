"""The settings, read once from the environment and ``.env``; ``docs/deployment.md`` lists them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from ta_lab2 import paths
from ta_lab2.errors import Refused


class Settings(BaseSettings):
    """What can be set from outside, each as ``TA_LAB2_<NAME>``."""

    model_config = SettingsConfigDict(
        env_prefix="TA_LAB2_",
        env_file=(paths.checkout() or Path()) / ".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    database_url: SecretStr | None = Field(
        default=None, description="Your own server's database. Unset: a runtime of ours is used."
    )
    admin_url: SecretStr | None = Field(
        default=None, description="The same database as a superuser, for migrations."
    )
    runtime: Literal["docker", "embedded"] | None = Field(
        default=None, description="Which runtime `db up` makes when the project has none yet."
    )
    project: str | None = Field(
        default=None,
        pattern=r"^[a-z0-9][a-z0-9-]{0,31}$",
        description="Names the project's state instead of the checkout's path.",
    )
    database: str = Field(
        default="ta_lab2",
        pattern=r"^[a-z_][a-z0-9_]{0,62}$",
        description="The database's name on a server of ours.",
    )
    port: int | None = Field(
        default=None,
        ge=1024,
        le=65535,
        description="The port of our server; else the first free one, which is remembered.",
    )
    state_dir: Path | None = Field(
        default=None, description="Where data directories and passwords live."
    )
    cache_dir: Path | None = Field(
        default=None, description="Where the embedded runtime's file system is."
    )
    mirror: str | None = Field(
        default=None, description="The Debian mirror for building a runtime."
    )
    image: str | None = Field(
        default=None, description="The Docker image of the database, instead of ours."
    )


@lru_cache(maxsize=1)
def settings() -> Settings:
    """Return the settings; a value that does not fit is named with its variable."""
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = "TA_LAB2_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Refused(
            f"{name} does not fit: {first['msg']}",
            "See docs/deployment.md for what each variable takes.",
        ) from None
