"""Writes a whowas.toml with every setting, its meaning and its default, from whowas.settings: they cannot differ."""

from __future__ import annotations

import json
import textwrap
import typing
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from whowas.settings import StreamConfig

WIDE = 110
HEAD = """## `whowas stream --config whowas.toml`: flow records from Kafka, named, to Parquet; and judged by rules.
## Behind each # stands the default, or an example where there is none. Paths are from where whowas is started.
## Try it: whowas stream --config whowas.toml --check
"""
# What stands without a comment: it is needed, or makes the files beside this one count.
SAID: dict[str, dict[str, Any]] = {
    "input": {"topics": ["flows"]},
    "kafka.options": {"bootstrap.servers": "localhost:9092"},
    "history": {"path": "cluster.db"},
    "naming": {"networks": "networks.toml"},
    "parquet": {"folder": "named"},
    "rules": {"state": "rules.db", "paths": ["pack", "rules"], "site": "site.toml", "silences": "silences.toml"},
    "alerts": {"file": "findings.jsonl"},
    "dead_letters": {"folder": "dead-letters"},
}
# Of tables that are comments as a whole.
EXAMPLES: dict[Any, Any] = {str: "…", int: 1, float: 1.0}


def settings_text() -> str:
    """Return the file."""
    hints = typing.get_type_hints(StreamConfig)
    tables = [(one.name, _table_of(hints[one.name])) for one in fields(StreamConfig) if not one.metadata.get("hidden")]
    return HEAD + "".join(f"\n{line}\n" for name, kind in tables for line in _table(name, kind))


def _table_of(hint: Any) -> Any:
    """The dataclass among what a setting may be, None for a plain value."""
    kinds = get_args(hint) if isinstance(hint, UnionType) else (hint,)
    return next((one for one in kinds if is_dataclass(one)), None)


def _table(name: str, kind: Any) -> Iterator[str]:
    """A table and those below it, each as one text."""
    said = SAID.get(name)
    # A table that nobody must have is a comment as a whole: its name too.
    mark = "# " if (said is None and any(map(_needed, fields(kind)))) or (said is None and "." in name) else ""
    hints = typing.get_type_hints(kind)
    lines = [*_wrapped(kind.__doc__ or ""), f"{mark}[{name}]"]
    below: list[str] = []
    for one in fields(kind):
        inner = _table_of(hints[one.name])
        if inner is not None:
            below += _table(f"{name}.{one.name}", inner)
        elif get_origin(hints[one.name]) is dict:
            below.append(_options(f"{name}.{one.name}", one))
        else:
            lines += [*_wrapped(str(one.metadata.get("meaning", ""))), _setting(one, hints[one.name], said or {})]
    yield "\n".join(lines)
    yield from below


def _needed(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _options(name: str, one: Field[Any]) -> str:
    said = SAID.get(name, {})
    mark = "" if said else "# "
    lines = [*_wrapped(str(one.metadata["meaning"])), f"{mark}[{name}]"]
    return "\n".join([*lines, *(f"{json.dumps(key)} = {_toml(value)}" for key, value in said.items())])


def _setting(one: Field[Any], hint: Any, said: dict[str, Any]) -> str:
    if one.name in said:
        return f"{one.name} = {_toml(said[one.name])}"
    default = one.default if one.default not in (MISSING, None) else _example(hint)
    return f"# {one.name} = {_toml(default)}"


def _example(hint: Any) -> Any:
    """Something of the type, where there is no default."""
    kind = next(one for one in get_args(hint) if one is not NoneType) if isinstance(hint, UnionType) else hint
    if get_origin(kind) is tuple:
        return [EXAMPLES[get_args(kind)[0]]]
    return get_args(kind)[0] if get_origin(kind) is Literal else EXAMPLES[kind]


def _toml(value: Any) -> str:
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)


def _wrapped(text: str) -> list[str]:
    return [f"## {line}" for line in textwrap.wrap(" ".join(text.split()), WIDE)]
