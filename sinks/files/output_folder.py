"""An output folder, and what is to become of the runs that are in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sinks.files.durable import TEMPORARY, lock_folder
from sinks.files.run_journal import Input, Journal, Mark, inputs_of, refuse_table
from whowas.errors import OutputError

# What is to become of an earlier run's files.
EXISTING = ("refuse", "append", "replace", "replace-all")
OURS, MERGED = "whowas-", "whowas-merged-"


@dataclass(frozen=True)
class Run:
    """A run, as the files and marks in a folder know it.

    name: short text, the same for the same inputs, history and options; it stands in the files' names.
    paths: the inputs. former: names that earlier versions would have given it, in files that have no mark.
    """

    name: str
    paths: Sequence[str] = ()
    former: tuple[str, ...] = ()


@dataclass
class _Found:
    """What a folder holds. mine: runs of an input of ours. unmarked: files of a run that left no mark, and of which."""

    files: list[Path]
    marks: list[Mark]
    mine: list[Mark] = field(default_factory=list)
    unmarked: list[Path] = field(default_factory=list)
    unmarked_mine: list[Path] = field(default_factory=list)


class OutputFolder:
    """An output folder held by one run at a time; the run's files appear there together (sinks/files/run_journal.py).

    Args: path: created when missing. ending: of the data files (".parquet"). run: whose. existing: one of EXISTING:
    `refuse` any other files, `append` to them, `replace` those of the same inputs, or `replace-all`. recover: finishes
    what else may have been cut off in the folder, before anything in it is counted.
    """

    def __init__(
        self, path: Path, ending: str, run: Run, existing: str, recover: Callable[[], None] = lambda: None
    ) -> None:
        self.path = path
        self._ending = ending
        self._run = run
        self._existing = existing
        self._recover = recover
        self._journal = Journal(path)
        self._lock: int | None = None
        self._inputs: list[Input] = []
        self._by_name: dict[str, list[str]] = {}
        self._files: dict[str, str] = {}
        self._remove: list[str] = []
        self._forget: list[str] = []

    def claim(self) -> None:
        """Lock the folder, finish what a killed run left, and see that this run may write. Raises: OutputError."""
        self._refuse()
        self._lock = lock_folder(self.path, "another run")
        try:
            # As they are now: one that is written to meanwhile is known again as one that grew.
            self._inputs = inputs_of(self._run.paths)
            self._by_name = _by_name(self._run.paths)
            self._files, self._remove, self._forget = {}, [], []
            self._journal.recover()
            self._recover()
            for left in self.path.rglob(f".*{TEMPORARY}"):
                left.unlink(missing_ok=True)
            self._settle(self._look())
        except BaseException:
            self.release()
            raise

    def _refuse(self) -> None:
        refuse_table(self.path)

    def called(self, name: str) -> str:
        """Return what a file of the run is called in the folder."""
        return name

    def place(self, name: str) -> Path:
        """Return where to write a file that is to appear as `name` below the folder."""
        made = f"{len(self._files):05d}"
        self._files[made] = name
        return self._journal.making(self._run.name) / made

    def publish(self) -> None:
        """Let the run's files appear, all of them, and those they replace go. Raises: OutputError."""
        mark = Mark(self._run.name, self._ending, self._inputs, dict(self._files))
        mark.remove, mark.forget = self._remove, self._forget
        self._journal.publish(mark)

    def release(self) -> None:
        """Give the lock back; what was not published goes. May be called again: what a signal cut short is finished."""
        if self._lock is None:
            return
        # What the disk refuses now the next run will do.
        with contextlib.suppress(OutputError):
            self._journal.recover()
        handle, self._lock = self._lock, None
        os.close(handle)

    def _look(self) -> _Found:
        files = self._there()
        marks = [one for one in self._journal.marks() if one.ending == self._ending]
        found = _Found(files, marks)
        found.mine = [one for one in marks if one.run == self._run.name or self._shares(one)]
        marked = {name for one in marks for name in one.files.values()}
        for path in files:
            name = path.name
            if str(path.relative_to(self.path)) in marked or not name.startswith(OURS) or name.startswith(MERGED):
                continue
            found.unmarked.append(path)
            if any(name.startswith(f"{OURS}{run}-") for run in (self._run.name, *self._run.former)):
                found.unmarked_mine.append(path)
        return found

    def _there(self) -> list[Path]:
        """The files that readers see."""
        return sorted(self.path.rglob(f"*{self._ending}"))

    def _shares(self, mark: Mark) -> bool:
        return any(self._given(one) for one in mark.inputs)

    def _given(self, one: Input) -> bool:
        return any(one.begins(path) for path in self._by_name.get(one.name, ()))

    def _settle(self, found: _Found) -> None:
        """Decide by what is there. Raises: OutputError."""
        match self._existing:
            case "append":
                self._refuse_twice(found)
            case "replace":
                self._replace(found)
            case "replace-all":
                # Of ours alone: what else ends so below the folder is somebody's.
                ours = [one for one in found.files if one.name.startswith(OURS) or "event_hour=" in one.parent.name]
                self._leave(ours, found.marks)
            case _ if found.files:
                raise OutputError(
                    f"cannot write into '{self.path}': it already holds {_files(found.files)} of other runs; choose a "
                    "new folder, or say --existing append to add to them"
                )

    def _refuse_twice(self, found: _Found) -> None:
        say = f"cannot append to '{self.path}': it already holds "
        if found.mine:
            raise OutputError(
                f"{say}all flows of {self._names(found.mine)}; --existing replace writes those anew and leaves "
                "what other inputs wrote"
            )
        if found.unmarked_mine:
            raise OutputError(
                f"{say}{_files(found.unmarked_mine)} of this very input, from a version of whowas that did not say "
                "whether a run came to its end; --existing replace writes those anew and leaves what other inputs wrote"
            )

    def _replace(self, found: _Found) -> None:
        """Take away what these inputs wrote, where that can be told from the rest. Raises: OutputError."""
        say = f"cannot replace in '{self.path}': "
        all_of_it = f"choose a new folder, or say --existing replace-all to remove all {_files(found.files)} in it"
        if not all(os.path.isfile(path) for path in self._run.paths):
            raise OutputError(f"{say}what came from standard input or a pipe cannot be known again; {all_of_it}")
        strange = [one for one in found.unmarked if one not in found.unmarked_mine]
        if strange:
            raise OutputError(f"{say}it holds {_files(strange)} of runs that did not say of which inputs; {all_of_it}")
        known = {one.name for mark in found.mine for one in mark.inputs}
        namesakes = {one.name for mark in found.marks for one in mark.inputs if one.name in self._by_name} - known
        if namesakes:
            raise OutputError(
                f"{say}it holds the flows of another {_quoted(sorted(namesakes))}, which began otherwise or was "
                f"longer; say --existing append to add to those, or {all_of_it}"
            )
        for mark in found.mine:
            others = sorted(one.name for one in mark.inputs if not self._given(one))
            if others:
                raise OutputError(
                    f"{say}the flows of {_quoted([others[0]])} were written in one run with those of "
                    f"{self._names([mark])}, and would go too; give all of that run's inputs, or {all_of_it}"
                )
            if any(self._is_merged(name) for name in mark.files.values()):
                raise OutputError(
                    f"{say}the flows of {self._names([mark])} were merged with others by 'whowas compact'; {all_of_it}"
                )
        mine = [self.path / name for mark in found.mine for name in mark.files.values()]
        self._leave([*mine, *found.unmarked_mine], found.mine)

    def _leave(self, files: Iterable[Path], marks: Iterable[Mark]) -> None:
        self._remove = sorted({str(one.relative_to(self.path)) for one in files})
        self._forget = [one.run for one in marks]

    def _is_merged(self, name: str) -> bool:
        """Say whether a file went into one of several runs, and was not merely removed."""
        path = self.path / name
        return not path.exists() and any(path.parent.glob(f"{MERGED}*"))

    def _names(self, marks: Sequence[Mark]) -> str:
        names = sorted({one.name for mark in marks for one in mark.inputs if self._given(one)})
        return _quoted(names) if names else "this very input"


def _by_name(paths: Iterable[str]) -> dict[str, list[str]]:
    """Return the files among some paths by their names without folders."""
    found: dict[str, list[str]] = {}
    for path in paths:
        if os.path.isfile(path):
            found.setdefault(os.path.basename(path), []).append(path)
    return found


def _files(paths: Sequence[Path]) -> str:
    return f"{len(paths):,} file{'' if len(paths) == 1 else 's'}"


def _quoted(names: Sequence[str]) -> str:
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return ", ".join(f"'{one}'" for one in names[:3]) + more
