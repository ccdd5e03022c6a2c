"""A DuckDB that may read the flows that were given, and nothing else: no other file, no network, no writing."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Any, NamedTuple, TypeVar

import pyarrow as pa

from whowas.errors import InputError
from whowas.query import parquet_files
from whowas.query.parquet_files import Files, Where, sql_text
from whowas.timestamps import zone_of

# As options of the connection: later is too late for some of them.
CLOSED: dict[str, str | bool | int | float | list[str]] = {
    "autoinstall_known_extensions": "false",
    "autoload_known_extensions": "false",
    "allow_community_extensions": "false",
    "allow_persistent_secrets": "false",
    "python_enable_replacements": "false",
}
# Many newest rows of all columns are looked up by row, not sorted as a whole; footers are read once.
FAST = ("SET late_materialization_max_rows = 1000", "SET parquet_metadata_cache = true")
MEMORY_MOST = 4 << 30
SPILL_MOST = "32GB"
UNITS = {"bytes": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}
T = TypeVar("T")


class Asked(NamedTuple):
    """A statement and its parameters, in the order of its question marks."""

    sql: str
    parameters: list[Any]


class Database:
    """One hardened connection with a view `flows`. Not for two threads at once.

    Args: flows: folders, files or globs of named flows; none: no such view. zone: in which SQL reckons days and hours.
    Raises: InputError when there are no flows, ConfigError for a zone that nobody knows.
    """

    def __init__(self, flows: Where | Sequence[Where] = (), zone: str = "UTC") -> None:
        import duckdb

        zone_of(zone)
        self.unreadable: list[tuple[str, str]] = []
        self._files: Files | None = parquet_files.find(flows) if parquet_files.listed(flows) else None
        self._spill = tempfile.mkdtemp(prefix="whowas-query-")
        self._thread = ThreadPoolExecutor(1, "duckdb")
        self._working, self._stopped = threading.Lock(), False
        self.link = duckdb.connect(config=CLOSED)
        self.has_flows = self._files is not None
        try:
            self._arrange(zone)
        except BaseException:
            self.close()
            raise

    def _arrange(self, zone: str) -> None:
        import duckdb

        run = self.link.sql
        for setting in FAST:
            # Older ones have not all of them.
            with contextlib.suppress(duckdb.CatalogException):
                run(setting)
        run(f"SET TimeZone = {sql_text(zone)}")
        run(f"SET memory_limit = '{self._memory()}B'")
        run(f"SET temp_directory = {sql_text(self._spill)}")
        run(f"SET max_temp_directory_size = '{SPILL_MOST}'")
        if self._files is not None:
            self._files = self._view(self._files)
            self.unreadable = self._files.unreadable

    def _memory(self) -> int:
        """Three quarters of what DuckDB would take, which knows of containers; and no more than MEMORY_MOST."""
        number, _, unit = self.link.sql("SELECT current_setting('memory_limit')").fetchall()[0][0].partition(" ")
        return min(MEMORY_MOST, int(float(number) * UNITS.get(unit, 1 << 20) * 0.75))

    def _view(self, files: Files) -> Files:
        import duckdb

        try:
            self.link.sql(f"CREATE VIEW flows AS {parquet_files.relation(self.link, files)}")
        except duckdb.Error as error:
            sound = parquet_files.without_damaged(files)
            if not sound.groups or sound == files:
                where, why = (sound.unreadable or [(files.paths()[0], str(error).partition("\n")[0])])[0]
                raise InputError(f"cannot read flows '{where}': {why}; are these files of a replay?") from error
            return self._view(sound)
        return files

    def add(self, name: str, schema: Any, batches: Iterator[Any]) -> None:
        """Make a table of record batches; what does not fit into memory goes to a temporary folder. Before `lock`."""
        self.link.register("_first", schema.empty_table())
        self.link.sql(f"CREATE TABLE {name} AS FROM _first")
        for batch in batches:
            self.link.register("_next", pa.Table.from_batches([batch], schema))
            self.link.sql(f"INSERT INTO {name} FROM _next")
            self.link.unregister("_next")
        self.link.unregister("_first")

    def lock(self) -> None:
        """From here on nothing is readable but the files of the view, and no setting can be changed."""
        files = self._files.paths() if self._files is not None else []
        files = list(dict.fromkeys([*files, *map(parquet_files.as_glob, files)]))
        self.link.sql(f"SET allowed_paths = [{', '.join(map(sql_text, files))}]")
        self.link.sql("SET enable_external_access = false")
        self.link.sql("SET lock_configuration = true")

    def rows(self, asked: Asked) -> list[tuple[Any, ...]]:
        """Run a statement of our own making. Returns: plain rows."""
        return self.patiently(lambda: list(self.link.sql(asked.sql, params=asked.parameters).fetchall()))

    def table(self, asked: Asked) -> Any:
        """Run a statement of our own making. Returns: a pyarrow Table."""
        return self.patiently(lambda: self.link.sql(asked.sql, params=asked.parameters).to_arrow_table())

    def patiently(self, work: Callable[[], T]) -> T:
        """Run something that takes long so that Ctrl-C ends it: DuckDB itself does not look up while it works."""
        try:
            running = self._thread.submit(self._alone, work)
            # A signal that comes just before a wait begins ends no wait: look up now and then.
            while not wait([running], timeout=0.2).done:
                pass
            return running.result()
        except KeyboardInterrupt:
            self._stop()
            raise

    def _alone(self, work: Callable[[], T]) -> T:
        with self._working:
            if self._stopped:
                raise KeyboardInterrupt
            return work()

    def _stop(self) -> None:
        """Let nothing begin any more, and interrupt what runs until it has ended."""
        self._stopped = True
        while not self._working.acquire(timeout=0.05):
            self.link.interrupt()
        self._working.release()

    def close(self) -> None:
        """Let go of the files and of what was put aside."""
        self._stop()
        self.link.close()
        self._thread.shutdown()
        shutil.rmtree(self._spill, ignore_errors=True)

    def __enter__(self) -> Database:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
