"""The Parquet files of named flows below some folders, as one table whose columns always have the same types."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.flows.live_files import live_files
from whowas.errors import InputError
from whowas.flow_folders import CLUSTER_KEY
from whowas.schema import PARTITIONS, table_schema

HIVE_TYPES = {pa.int64(): "BIGINT"}
UNSIGNED = ("UTINYINT", "USMALLINT", "USMALLINT[]")
Where = str | os.PathLike[str]


class Files(NamedTuple):
    """Files by the keys that their folders' names tell (cluster=…), each once. unreadable: (path, reason) left out."""

    groups: dict[tuple[str, ...], list[str]]
    unreadable: list[tuple[str, str]]

    def paths(self) -> list[str]:
        """Every file."""
        return [path for paths in self.groups.values() for path in paths]


def listed(folders: Where | Sequence[Where]) -> list[str]:
    """Return one folder or several as a list."""
    return [os.fspath(folders)] if isinstance(folders, (str, os.PathLike)) else [os.fspath(one) for one in folders]


def find(folders: Where | Sequence[Where]) -> Files:
    """Find every file below some folders; a folder may be a file, or a glob where nothing is called so.

    A file that two of them hold counts once. A link that leads out of its folder is left out, and told.
    Raises: InputError when one of them is not there or holds no file.
    """
    groups: dict[tuple[str, ...], list[str]] = {}
    unreadable: list[tuple[str, str]] = []
    seen: set[str] = set()
    for folder in (one for several in listed(folders) for one in _meant(several)):
        root = os.path.realpath(folder)
        paths = sorted(_below(root))
        if not paths:
            raise InputError(f"cannot read flows '{folder}': no Parquet file in it; name the --out of a replay")
        for path in paths:
            real = os.path.realpath(path)
            if real != root and not real.startswith(root.rstrip("/") + "/"):
                unreadable.append((path, "it is a link that leads out of the folder"))
            elif real not in seen:
                seen.add(real)
                groups.setdefault(_keys(real), []).append(real)
    return Files(groups, unreadable)


def _meant(folder: str) -> list[str]:
    if os.path.exists(folder):
        return [folder]
    found = sorted(glob.glob(folder, recursive=True)) if glob.has_magic(folder) else []
    if not found:
        what = "nothing is called so" if glob.has_magic(folder) else "no such folder"
        raise InputError(f"cannot read flows '{folder}': {what}; make them with 'whowas replay … --out {folder}'")
    return found


def _below(root: str) -> Iterable[str]:
    return [root] if os.path.isfile(root) else live_files(root)


def _keys(path: str) -> tuple[str, ...]:
    """The keys that DuckDB reads from a path: folders named KEY=VALUE."""
    parts = (one.split("=") for one in path.split("/")[:-1])
    return tuple(sorted({part[0] for part in parts if len(part) == 2 and part[0].isidentifier()}))


def sql_text(text: str) -> str:
    """Quote a path or a word for SQL."""
    return "'" + text.replace("'", "''") + "'"


def as_glob(path: str) -> str:
    """Write a path so that DuckDB, which takes every path for a pattern, finds this file alone."""
    return "".join(f"[{one}]" if one in "*?[" else one for one in path)


def relation(link: Any, files: Files) -> str:
    """Return SQL of one table of all files.

    Every column of `whowas schema` is there, in that order, null where a file has none; what else there is comes last.
    """
    wanted = _types(link)
    parts = [_typed(link, _read(keys, paths), wanted) for keys, paths in files.groups.items()]
    every = " UNION ALL BY NAME ".join(parts)
    there = dict.fromkeys(link.sql(every).columns)
    columns = [name if name in there else f"NULL::{kind} AS {name}" for name, kind in wanted.items()]
    columns += [_quoted(name) for name in there if name not in wanted]
    return f"SELECT {', '.join(columns)} FROM ({every})"  # noqa: S608


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _typed(link: Any, read: str, wanted: dict[str, str]) -> str:
    """The same with numbers as the schema has them (version 1: unsigned), without what only folders are called by."""
    found = link.sql(read)
    there = {name: str(kind) for name, kind in zip(found.columns, found.types, strict=True)}
    other = [name for name, kind in there.items() if kind in UNSIGNED and kind != wanted.get(name, kind)]
    left = f" EXCLUDE ({CLUSTER_KEY})" if CLUSTER_KEY in there else ""
    cast = f" REPLACE ({', '.join(f'{name}::{wanted[name]} AS {name}' for name in other)})" if other else ""
    return f"SELECT *{left}{cast} {read}" if left or cast else read


def _read(keys: tuple[str, ...], paths: list[str]) -> str:
    types = {name: HIVE_TYPES[PARTITIONS[name]] if name in PARTITIONS else "VARCHAR" for name in keys}
    told = f", hive_types = {{{', '.join(f'{name}: {kind}' for name, kind in types.items())}}}" if types else ""
    listing = ", ".join(sql_text(as_glob(path)) for path in paths)
    return f"FROM read_parquet([{listing}], hive_partitioning = {bool(types)}, union_by_name = true{told})"


def _types(link: Any) -> dict[str, str]:
    """DuckDB's words for the types of the schema's columns and of the folders' names."""
    fields = [field for field in table_schema() if field.name not in PARTITIONS]
    nothing = pa.schema([*fields, *PARTITIONS.items()]).empty_table()
    told = link.from_arrow(nothing)
    return {name: str(kind) for name, kind in zip(told.columns, told.types, strict=True)}


def without_damaged(files: Files) -> Files:
    """Leave out what is no Parquet file, and say why."""
    unreadable, groups = list(files.unreadable), {}
    for keys, paths in files.groups.items():
        sound = []
        for path in paths:
            why = _damage(path)
            sound += [] if why else [path]
            unreadable += [(path, why)] if why else []
        if sound:
            groups[keys] = sound
    return Files(groups, unreadable)


def _damage(path: str) -> str | None:
    try:
        pq.read_metadata(path)
    except (OSError, pa.ArrowException) as error:
        return str(error).partition("\n")[0]
    return None
