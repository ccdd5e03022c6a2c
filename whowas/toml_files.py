"""TOML files that users write, read with words for what goes wrong."""

from __future__ import annotations

import os
import tomllib
from typing import Any

from whowas.errors import ConfigError


def read_toml(path: str | os.PathLike[str], what: str, advice: str) -> dict[str, Any]:
    """Return the tables of a file.

    Args: what: how messages call it ("silences"). advice: what to do when it cannot be read.
    Raises: ConfigError naming the file, and the line where TOML breaks.
    """
    try:
        with open(path, "rb") as handle:
            return tomllib.load(handle)
    except OSError as error:
        raise ConfigError(f"cannot read {what} '{os.fspath(path)}': {error.strerror}; {advice}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot read {what} '{os.fspath(path)}': {error}; {advice}") from error
    except RecursionError as error:
        raise ConfigError(f"cannot read {what} '{os.fspath(path)}': it is nested too deeply; {advice}") from error
