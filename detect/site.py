"""Reads a site's lists: the defaults, and what a user's file changes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from detect.model import Site
from whowas.errors import ConfigError
from whowas.toml_files import read_toml

DELIVERED = Path(__file__).with_name("site.toml")
FORM = 'write [lists] or [add] and lines like database_clients = ["shop", "batch"]'
TABLES = ("lists", "add")
NAME = re.compile(r"[A-Za-z0-9_.-]+")


def load_site(path: str | None = None) -> Site:
    """Return the lists as delivered, changed by a user's file: `[lists]` replaces a list, `[add]` adds to it.

    Returns: a Site whose values are text, numbers too; its path is the user's file.
    Raises: ConfigError naming the file, and the list or the line where TOML breaks.
    """
    delivered = _delivered()
    lists = dict(delivered)
    if path is None:
        return Site(lists, str(DELIVERED))
    told = _read(Path(path))
    lists |= told["lists"]
    for name, more in told["add"].items():
        lists[name] = tuple(dict.fromkeys((*lists.get(name, ()), *more)))
    return Site(lists, path, frozenset({*told["lists"], *told["add"]} - set(delivered)))


@cache
def _delivered() -> Mapping[str, tuple[str, ...]]:
    """The lists as delivered; they do not change while a program runs."""
    return MappingProxyType(_read(DELIVERED)["lists"])


def _read(path: Path) -> dict[str, dict[str, tuple[str, ...]]]:
    told = read_toml(path, "site", FORM)
    for name in told:
        if name not in TABLES:
            raise ConfigError(f"cannot read site '{path}': '{name}' is not known; {FORM}")
    return {table: _lists(path, table, told.get(table, {})) for table in TABLES}


def _lists(path: Path, table: str, told: Any) -> dict[str, tuple[str, ...]]:
    if not isinstance(told, Mapping):
        raise ConfigError(f"cannot read site '{path}': {table} is no table; {FORM}")
    return {name: _values(path, name, values) for name, values in told.items()}


def _values(path: Path, name: str, values: Any) -> tuple[str, ...]:
    if not NAME.fullmatch(name):
        raise ConfigError(f"cannot read site '{path}': '{name}' is no name for a list; use letters, digits and _")
    words = values if isinstance(values, list) else [values]
    for one in words:
        if not isinstance(one, (str, int)) or isinstance(one, bool):
            raise ConfigError(f"cannot read site '{path}': {name}: {one!r} is neither text nor whole number; {FORM}")
    return tuple(str(one) for one in words)
