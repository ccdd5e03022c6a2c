"""Named flows of Kafka partitions in a Delta table, each record once: as offset_ranges.py has it, and then a commit.

A partition's mark is the step that counts, as for plain files. Behind it the files are renamed into place and named in
the log, in a commit that carries the offset behind them as a transaction of group and partition. Killed in between,
whoever claims the partition next looks there, and makes the commit where it is missing.
"""

from __future__ import annotations

from pathlib import Path

from sinks.files.run_journal import finish_killed
from sinks.flows.delta import DeltaJournal
from sinks.flows.delta_log import Commit, DeltaLog
from sinks.flows.offset_ranges import Mark, RangeFiles
from whowas.kafka import Partition


class RangeTable(RangeFiles):
    """The Delta table of a consumer group. As RangeFiles; raises MissingExtra too."""

    def __init__(self, out: str | Path, group: str) -> None:
        super().__init__(out, group)
        self._log = DeltaLog(Path(out))

    def check(self) -> None:
        """As RangeFiles does; makes the table."""
        self._log.refuse_plain()
        super().check()
        self._log.made()

    def _finish_killed(self) -> None:
        finish_killed(self.out, DeltaJournal(self.out, self._log))

    def _into_place(self, _partition: Partition, mark: Mark) -> None:
        super()._into_place(_partition, mark)
        app = f"whowas-stream/{self.group}/{_partition.topic}/{_partition.number}"
        done = self._log.number(app) if mark.files else mark.next
        if done is None or done < mark.next:
            self._log.commit(Commit(sorted(mark.files.values()), (), app, mark.next))
