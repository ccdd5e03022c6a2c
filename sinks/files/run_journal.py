"""Runs that write files into a folder: all files of a run appear, or none.

A run writes where no reader looks, in `<out>/.whowas-replay/<run>.making/`. Its mark, `<run>.json`, is the one step
that counts:

1. write the files, and sync them;
2. write the mark (temporary name, sync, rename, sync): from here on the run is written;
3. rename the files into place, remove those they replace, and say in the mark that this is done.

Killed before 2, the files belong to nobody, and whoever comes next removes them. Killed between 2 and 3, whoever comes
next does the rest. The mark stays: it says which inputs are in the folder, whatever becomes of the files' names.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path, PurePath
from typing import NamedTuple

from sinks.files.durable import durable, lock_folder, put_in_place, refusal, sync_folder
from whowas.errors import OutputError

HOME = ".whowas-replay"
DELTA_LOG = "_delta_log"
MAKING = ".making"
HEAD = 1 << 16
# With less of its beginning a file that grew is not told from another of the same name.
TELLING = 1 << 10


class Input(NamedTuple):
    """An input as a mark keeps it: its name without folders, its bytes, and a hash of the first HEAD of them."""

    name: str
    size: int
    head: str

    @classmethod
    def of(cls, path: str) -> Input | None:
        """Look at a file; None for what cannot be looked at twice, or has nothing in it."""
        try:
            if not os.path.isfile(path) or not os.path.getsize(path):
                return None
            return cls(os.path.basename(path), os.path.getsize(path), _head(path, HEAD))
        except OSError:
            return None

    def begins(self, path: str) -> bool:
        """Say whether a file is this one, or has become of it by growing."""
        if os.path.basename(path) != self.name:
            return False
        try:
            size = os.path.getsize(path)
            grown = TELLING <= self.size < size
            return (size == self.size or grown) and _head(path, min(HEAD, self.size)) == self.head
        except OSError:
            return False


def _head(path: str, length: int) -> str:
    with open(path, "rb") as handle:
        return hashlib.sha256(handle.read(length)).hexdigest()


@dataclass
class Mark:
    """A run that is written. files: names below `making` -> names below the folder.

    pending: step 3 is not done yet; then `remove` (files) and `forget` (marks of runs) say what it takes away.
    number: of the run's commit, where files appear by a table's log (sinks/flows/delta.py).
    """

    run: str
    ending: str
    inputs: list[Input]
    files: dict[str, str]
    remove: list[str] = field(default_factory=list)
    forget: list[str] = field(default_factory=list)
    pending: bool = False
    number: int = 0


class Journal:
    """The runs of one folder. All but `pending` is for who holds the folder alone. Raises: OutputError."""

    def __init__(self, out: Path) -> None:
        self._out = out
        self.home = out / HOME

    def marks(self) -> list[Mark]:
        """Return the runs that are written."""
        return [self._read(path) for path in sorted(self.home.glob("*.json"))]

    def pending(self) -> bool:
        """Say whether a run that was killed has left something to be done."""
        return any(one.pending for one in self.marks())

    def making(self, run: str) -> Path:
        """Where a run writes its files."""
        return self.home / f"{run}{MAKING}"

    def recover(self) -> None:
        """Finish the runs that are written, and remove what others left."""
        try:
            for mark in self.marks():
                if mark.pending:
                    self._finish(mark)
            for left in (*self.home.glob(f"*{MAKING}"), *self.home.glob(".*")):
                _remove(left)
        except OSError as error:
            raise refusal(self._out, error) from error

    def publish(self, mark: Mark) -> None:
        """Steps 2 and 3 of a run whose files are made."""
        mark.pending = True
        self._write(mark)
        try:
            self._finish(mark)
        except OSError as error:
            raise refusal(self._out, error) from error

    def _finish(self, mark: Mark) -> None:
        making = f"{HOME}/{mark.run}{MAKING}"
        put_in_place(self._out, {f"{making}/{made}": final for made, final in mark.files.items()})
        leaving = [self._out / one for one in mark.remove if one not in set(mark.files.values())]
        for path in leaving:
            path.unlink(missing_ok=True)
        for folder in {path.parent for path in leaving if path.parent.is_dir()}:
            sync_folder(folder)
        self._done(mark)

    def _done(self, mark: Mark) -> None:
        for run in mark.forget:
            if run != mark.run:
                (self.home / f"{run}.json").unlink(missing_ok=True)
        mark.pending, mark.remove, mark.forget = False, [], []
        self._write(mark)
        shutil.rmtree(self.making(mark.run), ignore_errors=True)

    def _write(self, mark: Mark) -> None:
        with durable(self.home / f"{mark.run}.json") as handle:
            handle.write(json.dumps(asdict(mark), indent=1).encode() + b"\n")

    def _read(self, path: Path) -> Mark:
        try:
            told = json.loads(path.read_bytes())
            inputs = [Input(str(name), int(size), str(head)) for name, size, head in told.pop("inputs")]
            mark = Mark(inputs=inputs, **told)
            _check_names([mark.run, *mark.forget, *mark.files], depth=1)
            _check_names([*mark.remove, *mark.files.values()])
        except OSError as error:
            raise OutputError(f"cannot read '{path}': {error.strerror}; check its rights") from error
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OutputError(
                f"cannot read '{path}': {error!r}; it says which inputs are in '{self._out}': restore it, or move it "
                "away to take the files there as they are"
            ) from error
        return mark


def refuse_table(out: Path) -> None:
    """Refuse to change the files of a table without its log. Raises: OutputError."""
    if os.path.isdir(out / DELTA_LOG):
        raise OutputError(
            f"cannot write plain Parquet into '{out}': it is a Delta table, whose log says which files count; "
            "say --format delta, or name another folder"
        )


def finish_killed(out: Path, journal: Journal | None = None) -> None:
    """Do what a killed run has left, for those who share the folder with others. Raises: OutputError.

    journal: of a table's folder; else a plain folder is meant.
    """
    if journal is None:
        refuse_table(out)
        journal = Journal(out)
    if journal.pending():
        lock = lock_folder(out, "a replay")
        try:
            journal.recover()
        finally:
            os.close(lock)


def _check_names(names: Iterable[str], depth: int = 8) -> None:
    """A mark that somebody else wrote leads nowhere out of the folder. Raises: ValueError."""
    for name in names:
        parts = PurePath(name).parts
        if not parts or len(parts) > depth or ".." in parts or PurePath(name).is_absolute():
            raise ValueError(f"'{name}' is no name of a file in there")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def inputs_of(paths: Sequence[str]) -> list[Input]:
    """Return the inputs that a mark keeps: those that can be known again."""
    found = (Input.of(path) for path in paths)
    return [one for one in found if one is not None]
