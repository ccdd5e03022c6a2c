"""Keeps roll-ups of every hour in a cache beside nothing else: made newest first, made again when the hour changes.

A cache may be deleted at any time. What is in it is found by the hour's folder and the key of its files; a folder of
the cache appears under its name when all of it is there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from whowas.errors import ConfigError, InputError, OutputError, WhowasError
from whowas.query import parquet_files
from whowas.query.parquet_files import sql_text
from whowas.workbench import hours, rollup_sql
from whowas.workbench.database import connect
from whowas.workbench.hours import Found, Hour

VERSION = "2"
"""Of what is in a cache: another one is made anew."""
BUILD_MEMORY = "768MB"
LOOK_SECONDS = 5.0
SORTED_ROWS = 8192
_BEGUN = ".begun-"


class Ready(NamedTuple):
    """An hour whose roll-ups are there. flows, bytes: in it."""

    hour: Hour
    folder: str
    flows: int
    bytes: int

    def path(self, kind: str) -> str:
        """The file of one kind."""
        return f"{self.folder}/{kind}.parquet"


class State(NamedTuple):
    """What is known now. ready: by the hour's id. building: something is being made, or looked for."""

    found: Found
    ready: dict[str, Ready]
    broken: dict[str, str]
    building: bool


def default_cache() -> Path:
    """Where a cache lies unless said otherwise."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(base) / "whowas" / "rollups"


class Rollups:
    """The cache of one folder of flows. `start` begins to build, `close` ends it.

    Args: flows: folder. cache: below which a folder for these flows is made. Raises: InputError, OutputError.
    """

    def __init__(self, flows: str, cache: Path) -> None:
        root = os.path.realpath(flows)
        name = hashlib.blake2b(root.encode(errors="surrogateescape"), digest_size=8).hexdigest()
        self.flows = root
        self.folder = Path(os.path.realpath(cache)) / f"v{VERSION}-{name}"
        if f"{self.folder}/".startswith(f"{root}/") or f"{root}/".startswith(f"{self.folder}/"):
            raise ConfigError(f"cannot keep roll-ups in '{cache}': it lies among the flows; say --cache with another")
        try:
            self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise OutputError(f"cannot keep roll-ups in '{cache}': {error.strerror}; say --cache DIR") from error
        self.state = State(hours.find(root), {}, {}, True)
        self._look()
        self._stop, self._again = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None
        self._building: Any = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Build in the background, and look for changes every few seconds."""
        self._thread = threading.Thread(target=self._run, name="rollups", daemon=True)
        self._thread.start()

    def look_again(self) -> None:
        """Look for changes at once: a file that was asked for is gone."""
        self._again.set()

    def close(self) -> None:
        """End the building; what is half made is removed by the next."""
        self._stop.set()
        self._again.set()
        with self._lock:
            if self._building is not None:
                self._building.interrupt()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.build_all()
            except (WhowasError, OSError):
                self.state = self.state._replace(building=False)
            self._again.wait(LOOK_SECONDS)
            self._again.clear()

    def build_all(self, until: Callable[[], bool] | None = None) -> None:
        """Build every hour that is missing, newest first, until there is nothing more to do."""
        self._look()
        self._sweep()
        while (hour := self._missing()) is not None and not self._stop.is_set():
            self._build(hour)
            self._look()
            if until is not None and until():
                return
        self.state = self.state._replace(building=False)

    def _look(self) -> None:
        """Compare what lies in the folder with what the cache has."""
        try:
            found = hours.find(self.flows)
        except InputError:
            found = Found((), ())
        ready = {}
        for hour in found.hours:
            kept = self.state.ready.get(hour.id)
            if kept is not None and kept.hour.key == hour.key and os.path.isdir(kept.folder):
                ready[hour.id] = kept
            elif (folder := self._place(hour)).is_dir():
                ready[hour.id] = _measured(hour, str(folder))
        broken = {one.key: self.state.broken[one.key] for one in found.hours if one.key in self.state.broken}
        missing = any(one.id not in ready and one.key not in broken for one in found.hours)
        self.state = State(found, ready, broken, missing)

    def _place(self, hour: Hour) -> Path:
        return self.folder / hour.id / hour.key

    def _missing(self) -> Hour | None:
        state = self.state
        return next(
            (one for one in state.found.hours if one.id not in state.ready and one.key not in state.broken), None
        )

    def _build(self, hour: Hour) -> None:
        import duckdb

        begun = self._place(hour).with_name(_BEGUN + hour.key)
        shutil.rmtree(begun, ignore_errors=True)
        try:
            begun.mkdir(parents=True)
            self._write(hour, begun)
            if not self._place(hour).exists():
                os.rename(begun, self._place(hour))
        except (duckdb.Error, OSError, InputError) as error:
            if not self._stop.is_set():
                why = str(error).partition("\n")[0]
                self.state = self.state._replace(broken=self.state.broken | {hour.key: why})
        finally:
            shutil.rmtree(begun, ignore_errors=True)

    def _write(self, hour: Hour, place: Path) -> None:
        with connect(BUILD_MEMORY, threads=1) as link:
            with self._lock:
                self._building = link
            try:
                write(link, relation(link, hour), place)
            finally:
                with self._lock:
                    self._building = None

    def _sweep(self) -> None:
        """Remove what is of hours as they no longer are, and what a killed process left."""
        wanted = {one.id: one.key for one in self.state.found.hours}
        # A cache may be deleted while it is used.
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in self.folder.iterdir():
            for kept in folder.iterdir() if folder.is_dir() else ():
                if kept.name != wanted.get(folder.name):
                    shutil.rmtree(kept, ignore_errors=True)
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)


def relation(link: Any, hour: Hour) -> str:
    """SQL of the flows of an hour. Raises: InputError when none of its files can be read."""
    import duckdb

    try:
        return parquet_files.relation(link, hour.as_files())
    except duckdb.Error as error:
        sound = parquet_files.without_damaged(hour.as_files())
        if not sound.groups or sound == hour.as_files():
            raise InputError(str(error).partition("\n")[0]) from error
        return parquet_files.relation(link, sound)


def write(link: Any, flows: str, place: Path) -> None:
    """Make the roll-ups of a relation of flows in a folder."""
    fine = place / "edges_10m.parquet"
    _copy(link, rollup_sql.edges(flows), fine)
    made = f"FROM read_parquet({sql_text(str(fine))})"
    _copy(link, rollup_sql.coarser(made), place / "edges_1h.parquet")
    _copy(link, rollup_sql.spaces(made), place / "spaces_10m.parquet")
    _copy(link, rollup_sql.ends(flows), place / "ends_1h.parquet")
    _copy(link, rollup_sql.identities(flows), place / "identities.parquet")


def _copy(link: Any, sql: str, path: Path) -> None:
    told = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {SORTED_ROWS}"
    link.execute(f"COPY ({sql}) TO {sql_text(str(path))} ({told})")


def _measured(hour: Hour, folder: str) -> Ready:
    """Read how much is in an hour, from its coarsest file."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    table = pq.read_table(f"{folder}/edges_1h.parquet", columns=["flows", "bytes"])
    return Ready(hour, folder, pc.sum(table["flows"]).as_py() or 0, pc.sum(table["bytes"]).as_py() or 0)
