"""Settings and keys from the outside: the environment, with a `.env` file beneath it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values

from clara_kit.core.paths import DATA
from clara_kit.core.settings import Keys, Preset, Settings


def default_env_file() -> Path:
    """`.env` in the working folder, or else the project's own: a notebook's kernel works in notebooks/."""
    here = Path(".env")
    return here if here.is_file() or not DATA.is_dir() else DATA.parent / ".env"


def environment(env_file: str | Path | None = None) -> Mapping[str, str]:
    """The process's environment laid over what `env_file` holds; a missing file is an empty one."""
    path = env_file or default_env_file()
    from_file = {name: value for name, value in dotenv_values(path).items() if value is not None}
    return {**from_file, **os.environ}


def load_settings(env_file: str | Path | None = None, *, preset: Preset = "plan") -> Settings:
    """A preset, with what the environment and `.env` say laid over it; raises `SettingsError` naming what is wrong."""
    return Settings.from_env(environment(env_file), preset)


def load_keys(env_file: str | Path | None = None) -> Keys:
    """Keys and vendors' addresses from the environment and `.env`."""
    return Keys.from_env(environment(env_file))
