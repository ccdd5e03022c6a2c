"""The log of a Delta table whose data files are ours: the one place that knows the library deltalake.

Files are written by our own encoder and then named in the log (docs/decisions/0035-lakes.md). A commit carries a
transaction (Delta's `txn`: an application's name and a number), by which whoever comes next knows that it was made.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from sinks.files.durable import sync_folder
from sinks.files.run_journal import DELTA_LOG as LOG
from whowas.errors import MissingExtra, OutputError
from whowas.flow_folders import CLUSTER_KEY, NO_CLUSTER
from whowas.schema import table_schema

FOLDERS = {CLUSTER_KEY: pa.string(), "event_day": pa.int32(), "event_hour": pa.int32()}
HARMLESS = {"timestampNtz", "v2Checkpoint", "vacuumProtocolCheck"}
"""Features of a table that leave its files as they are read."""


class Commit(NamedTuple):
    """What appears in one step. add: files in their places; remove: files that readers no longer see; names below the
    table's folder. app, number: the transaction."""

    add: Sequence[str]
    remove: Iterable[str]
    app: str
    number: int


class DeltaLog:
    """The log of the table in a folder, made when something is committed. Raises: MissingExtra, OutputError."""

    def __init__(self, folder: Path) -> None:
        try:
            import deltalake
        except ImportError:
            raise MissingExtra("deltalake", "delta") from None
        self._library: Any = deltalake
        self.folder = folder
        self._table: Any = None

    def exists(self) -> bool:
        """Say whether there is a table."""
        return (self.folder / LOG).is_dir() and any((self.folder / LOG).glob("*.json"))

    def refuse_plain(self) -> None:
        """Refuse a folder of Parquet files that no log names. Raises: OutputError."""
        if not self.exists() and any(self.folder.rglob("*.parquet")):
            raise OutputError(
                f"cannot make a Delta table of '{self.folder}': it holds plain Parquet files; name a new folder"
            )

    def _open(self) -> Any:
        try:
            if self._table is None:
                self._table = self._library.DeltaTable(str(self.folder))
            else:
                self._table.update_incremental()
            table = self._table
            features = set(table.protocol().reader_features or ()) - HARMLESS
        except Exception as error:
            self._table = None
            raise self._refusal("read", error) from error
        if features or table.protocol().min_reader_version == 2:
            # Deleted rows would come back, columns would have other names.
            raise OutputError(
                f"cannot use the Delta table '{self.folder}': another program has given it "
                f"{', '.join(sorted(features)) or 'columnMapping'}, by which files do not say what the table holds; "
                "take the feature from it, or name another folder"
            )
        return table

    def _refusal(self, what: str, error: Exception) -> OutputError:
        return OutputError(f"cannot {what} the Delta table '{self.folder}': {str(error).splitlines()[0]}")

    def files(self) -> list[str]:
        """Return the names of the files that readers see, below the folder."""
        if not self.exists():
            return []
        top = str(self.folder.absolute())
        return sorted(os.path.relpath(one, top) for one in self._open().file_uris())

    def version(self) -> int:
        """Return the table's version, -1 where there is none: no two commits have the same."""
        return int(self._open().version()) if self.exists() else -1

    def number(self, app: str) -> int | None:
        """Return the number of an application's last transaction."""
        found = self._open().transaction_version(app) if self.exists() else None
        return None if found is None else int(found)

    def commit(self, one: Commit) -> None:
        """Let files appear and go in one step; on disk on return. Raises: OutputError."""
        from deltalake.transaction import CommitProperties, RemoveAction, Transaction

        try:
            table = self.made()
            before = int(table.version())
            remove = set(one.remove)
            leaving = remove & set(self.files()) if remove else remove
            actions = [self._added(name) for name in one.add]
            now = 1 + max((action.modification_time for action in actions), default=0)
            actions += [RemoveAction(name, True, now) for name in sorted(leaving)]
            told = CommitProperties(app_transactions=[Transaction(one.app, one.number)])
            table.create_write_transaction(actions, "append", table.schema(), list(FOLDERS), commit_properties=told)
            self._sync(before)
        except OutputError:
            raise
        except Exception as error:
            self._table = None
            raise self._refusal("write", error) from error

    def made(self) -> Any:
        """Open or make the table; columns that it lacks are added. Raises: OutputError."""
        wanted = self._library.Schema.from_arrow(columns())
        if not self.exists():
            self._library.DeltaTable.create(str(self.folder), wanted, partition_by=list(FOLDERS), mode="ignore")
        table = self._open()
        known = {one.name: one.type for one in table.schema().fields}
        other = [one.name for one in wanted.fields if one.name in known and known[one.name] != one.type]
        if other:
            raise OutputError(
                f"cannot write the Delta table '{self.folder}': its column '{other[0]}' is of another type"
            )
        if new := [one for one in wanted.fields if one.name not in known]:
            table.alter.add_columns(new)
            table = self._open()
        return table

    def _added(self, name: str) -> Any:
        from deltalake.transaction import AddAction

        path = self.folder / name
        about, told = pq.read_metadata(path), path.stat()
        words = dict(part.split("=", 1) for part in name.split("/")[:-1])
        values = {key: None if words[key] == NO_CLUSTER else words[key] for key in FOLDERS}
        at = int(told.st_mtime * 1000)
        # Rows alone: deltalake takes a column without bounds, beside one that has some, for one without values.
        return AddAction(name, told.st_size, values, at, True, json.dumps({"numRecords": about.num_rows}))

    def _sync(self, before: int) -> None:
        """Put the commits behind a version on disk: the library leaves that to the kernel."""
        for path in (self.folder / LOG).glob("*.json"):
            if not path.stem.isdecimal() or int(path.stem) < before:
                continue
            handle = os.open(path, os.O_RDONLY)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        sync_folder(self.folder / LOG)
        sync_folder(self.folder)


def columns() -> Any:
    """Return the table's columns: a file's, without dictionaries, which Delta does not know, and its folders'."""
    told = [(one.name, one.type.value_type if pa.types.is_dictionary(one.type) else one.type) for one in table_schema()]
    return pa.schema([*told, *FOLDERS.items()])
