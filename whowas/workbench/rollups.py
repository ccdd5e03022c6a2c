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
from whowas.timestamps import AFTER_ALL, BEFORE_ALL
from whowas.workbench import hours
from whowas.workbench.hours import Found, Hour
from whowas.workbench.kept import Kept, Loaded
from whowas.workbench.problems import CancelledError, NotServedError

VERSION = "4"
"""Of what is in a cache: another one is made anew."""
LOOK_SECONDS = 5.0
_BEGUN = ".begun-"


class Ready(NamedTuple):
    """An hour whose roll-ups are there. flows, bytes: in it."""

    hour: Hour
    folder: str
    flows: int
    bytes: int
    loaded: Loaded | None = None

    def table(self, kind: str) -> str:
        """The name of a table of what is in memory."""
        assert self.loaded is not None
        return self.loaded.table(kind)

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
        self.kept: Kept | None = None
        self._unloadable: set[str] = set()
        self._stop, self._again = threading.Event(), threading.Event()
        self.state = State(hours.find(root), {}, {}, True)
        self._look()
        self._thread: threading.Thread | None = None

    def keep_in(self, kept: Kept) -> None:
        """Load what is ready, too, from now on: an hour is ready when it is loaded."""
        self.kept = kept
        self.state = self.state._replace(ready={}, building=True)

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

    def build_all(
        self, until: Callable[[], bool] | None = None, span: tuple[int, int] = (BEFORE_ALL, AFTER_ALL)
    ) -> None:
        """Build every hour of a span, us, that is missing, newest first, until there is nothing more to do."""
        self._look()
        self._sweep()
        while (hour := self._missing(span)) is not None and not self._stop.is_set():
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
        ready: dict[str, Ready] = {}
        broken = {one.key: self.state.broken[one.key] for one in found.hours if one.key in self.state.broken}
        for hour in found.hours:
            if self._stop.is_set():
                return
            made = None if hour.key in broken else self._known(hour)
            if made is not None:
                ready[hour.id] = made
                if made is not self.state.ready.get(hour.id):
                    self.state = self.state._replace(found=found, ready=self.state.ready | ready, building=True)
        broken |= {one.key: self.state.broken[one.key] for one in found.hours if one.key in self.state.broken}
        missing = any(one.id not in ready and one.key not in broken for one in found.hours)
        self.state = State(found, ready, broken, missing)
        if self.kept is not None:
            self.kept.keep({one.folder for one in ready.values()})

    def _known(self, hour: Hour) -> Ready | None:
        """What the cache has of an hour, loaded."""
        import duckdb
        import pyarrow as pa

        one = self.state.ready.get(hour.id)
        if one is None or one.hour.key != hour.key or not os.path.isdir(one.folder):
            folder = self._place(hour)
            if not folder.is_dir():
                return None
            one = Ready(hour, str(folder), 0, 0)
        if self.kept is None or one.loaded is not None:
            return one
        try:
            loaded = self.kept.load(one.folder)
        except NotServedError as error:
            self._give_up(hour, str(error))
            return None
        except (duckdb.Error, pa.ArrowException, OSError, ValueError) as error:
            self._damaged(one, str(error).partition("\n")[0])
            return None
        return one._replace(loaded=loaded, flows=loaded.flows, bytes=loaded.bytes)

    def _damaged(self, one: Ready, why: str) -> None:
        """What cannot be loaded is made again, once."""
        if one.hour.key in self._unloadable:
            self._give_up(one.hour, why)
        else:
            self._unloadable.add(one.hour.key)
            shutil.rmtree(one.folder, ignore_errors=True)

    def _give_up(self, hour: Hour, why: str) -> None:
        self.state = self.state._replace(broken=self.state.broken | {hour.key: why})

    def _place(self, hour: Hour) -> Path:
        return self.folder / hour.id / hour.key

    def _missing(self, span: tuple[int, int]) -> Hour | None:
        state = self.state
        asked = hours.touched(state.found.hours, *span)
        return next((one for one in asked if one.id not in state.ready and one.key not in state.broken), None)

    def _build(self, hour: Hour) -> None:
        begun = self._place(hour).with_name(f"{_BEGUN}{os.getpid()}-{hour.key}")
        shutil.rmtree(begun, ignore_errors=True)
        try:
            begun.mkdir(parents=True)
            self._write(hour, begun)
            if not self._place(hour).exists():
                os.rename(begun, self._place(hour))
        except (OSError, InputError, CancelledError) as error:
            # Another process may have been faster.
            if not self._stop.is_set() and not self._place(hour).is_dir():
                why = str(error).partition("\n")[0]
                self.state = self.state._replace(broken=self.state.broken | {hour.key: why})
        finally:
            shutil.rmtree(begun, ignore_errors=True)

    def _write(self, hour: Hour, place: Path) -> None:
        from whowas.workbench import summed_files
        from whowas.workbench.summing import Summed

        summed = Summed()
        summed.read(hour, self._check)
        summed_files.write(summed, place)

    def _check(self) -> None:
        if self._stop.is_set():
            raise CancelledError("the building of roll-ups was ended")

    def _sweep(self) -> None:
        """Remove what is of hours as they no longer are, and what a killed process left."""
        wanted = {one.id: one.key for one in self.state.found.hours}
        # A cache may be deleted while it is used.
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in self.folder.iterdir():
            for kept in folder.iterdir() if folder.is_dir() else ():
                if kept.name != wanted.get(folder.name) and not _by_another(kept.name):
                    shutil.rmtree(kept, ignore_errors=True)
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)


def _by_another(name: str) -> bool:
    """Does another process, which lives, build this just now?"""
    told = name.removeprefix(_BEGUN).partition("-")[0]
    if not name.startswith(_BEGUN) or not told.isdigit() or int(told) == os.getpid():
        return False
    try:
        os.kill(int(told), 0)
    except (OSError, OverflowError) as error:
        return isinstance(error, PermissionError)
    return True


def relation(link: Any, hour: Hour) -> str:
    """SQL of the flows of an hour. Raises: InputError when none of its files can be read."""
    # To look which columns files have costs more than some questions.
    known = _relations.get(hour)
    if known is None:
        if len(_relations) >= MOST_RELATIONS:
            _relations.clear()
        known = _relations[hour] = _relation(link, hour)
    return known


MOST_RELATIONS = 2000
_relations: dict[Hour, str] = {}


def _relation(link: Any, hour: Hour) -> str:
    import duckdb

    try:
        return parquet_files.relation(link, hour.as_files())
    except duckdb.Error as error:
        sound = parquet_files.without_damaged(hour.as_files())
        if not sound.groups or sound == hour.as_files():
            raise InputError(str(error).partition("\n")[0]) from error
        return parquet_files.relation(link, sound)
