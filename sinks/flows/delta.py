"""A folder of named flows that is a Delta table: a run's files appear by one commit of its log, or not at all.

Files, marks and what becomes of earlier runs are those of a plain folder (sinks/files/output_folder.py). What differs
is the one step that counts, and that nothing is deleted: an older version of the table can still be read.

1. write the files, and sync them;
2. write the mark: it has the number of the commit that is to come;
3. rename the files into place, where nobody looks who reads the log;
4. commit: the files, those they replace, and the run's number as a transaction;
5. say in the mark that this is done.

Killed between 2 and 5, whoever comes next does the rest; the log says whether 4 was done.
"""

from __future__ import annotations

from pathlib import Path

from sinks.files.durable import put_in_place
from sinks.files.output_folder import OutputFolder, Run
from sinks.files.run_journal import HOME, MAKING, Journal, Mark
from sinks.flows.delta_log import Commit, DeltaLog


class DeltaJournal(Journal):
    """The runs of a table."""

    def __init__(self, out: Path, log: DeltaLog) -> None:
        super().__init__(out)
        self._log = log

    def publish(self, mark: Mark) -> None:
        """Steps 2 to 5."""
        mark.number = self._log.version() + 1
        super().publish(mark)

    def _finish(self, mark: Mark) -> None:
        app = f"whowas-replay/{mark.run}"
        done = self._log.number(app)
        if done is None or done < mark.number:
            # First: files without a log would be taken for those of a plain folder.
            self._log.made()
            making = f"{HOME}/{mark.run}{MAKING}"
            put_in_place(self._out, {f"{making}/{made}": final for made, final in mark.files.items()})
            self._log.commit(Commit(sorted(mark.files.values()), mark.remove, app, mark.number))
        self._done(mark)


class DeltaFolder(OutputFolder):
    """As OutputFolder. Raises: MissingExtra, OutputError."""

    def __init__(self, path: Path, run: Run, existing: str) -> None:
        super().__init__(path, ".parquet", run, existing)
        self._log = DeltaLog(path)
        self._journal = DeltaJournal(path, self._log)
        self._version = 0

    def _refuse(self) -> None:
        self._log.refuse_plain()

    def claim(self) -> None:
        """As OutputFolder does."""
        super().claim()
        self._version = self._log.version() + 1

    def called(self, name: str) -> str:
        """With the table's version: a name that a file has had is never given to another."""
        return f"{name.removesuffix('.parquet')}-v{self._version}.parquet"

    def _there(self) -> list[Path]:
        return [self.path / one for one in self._log.files()]

    def _is_merged(self, name: str) -> bool:
        """Say whether a file of a run is none any more: somebody's OPTIMIZE has put it together with others."""
        return self.path / name not in self._there()
