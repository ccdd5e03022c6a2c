"""Captures and flow logs in any mix, as one source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from ingest.packets import CaptureSource, PacketOptions
from ingest.packets.capture import is_capture
from ingest.progress import Progress
from ingest.records.files.beginnings import RecordFiles, first_bytes
from whowas.errors import BrokenInput, ConfigError, InputError
from whowas.side_threads import ahead
from whowas.stages import Position

if TYPE_CHECKING:
    from ingest.records import RecordSource
    from sinks.flows.dead_letters import DeadLetterFile


class MixedSource:
    """A whowas.stages.Source: the captures first, then the flow logs, each kind in the order given.

    Records that are refused go to the file records.dead_letter, where one is named.
    """

    def __init__(
        self,
        paths: Sequence[str],
        packets: PacketOptions,
        records: RecordFiles,
        progress: Callable[[Progress], None] | None = None,
    ) -> None:
        """Raises: ConfigError, OutputError where refused records could not be kept."""
        captures, logs = sorted_out(paths, records)
        self._captures = CaptureSource(captures, packets, progress)
        self.report = self._captures.report
        self._letters: DeadLetterFile | None = None
        if records.dead_letter:
            from sinks.flows.dead_letters import DeadLetterFile

            self._letters = DeadLetterFile(records.dead_letter)
        aside = self._letters.write if self._letters else None
        self._logs: RecordSource | None = None
        if logs:
            from ingest.records import RecordSource

            self._logs = RecordSource(logs, records, progress, self.report, aside)

    def batches(self) -> Iterator[tuple[Any, Position]]:
        """Yield (record batch of flow_schema, position)."""
        try:
            yield from self._captures.batches()
            if self._logs is not None:
                yield from ahead(self._logs.batches())
        finally:
            # Here, before the sink is closed: flows are not called written while what was refused may be lost.
            if self._letters is not None:
                self._letters.close()

    def commit(self, position: Position) -> None:
        """Nothing to remember: files can be read again."""


def sorted_out(paths: Sequence[str], records: RecordFiles) -> tuple[list[str], list[str]]:
    """Tell captures from flow logs by what they hold; what is neither stays with the captures, to be reported there.

    Raises: ConfigError for a format that is not known.
    """
    if records.format is not None:
        from ingest.records import FORMATS

        if records.format not in FORMATS:
            raise ConfigError(f"cannot read format '{records.format}': unknown word; say one of {', '.join(FORMATS)}")
    logs = [path for path in paths if _is_log(path, records)]
    return [path for path in paths if path not in logs], logs


def _is_log(path: str, records: RecordFiles) -> bool:
    try:
        head = first_bytes(path)
    except (InputError, BrokenInput):
        return False
    if is_capture(head):
        return False
    if records.format is not None:
        return True
    from ingest.records import holds_records

    return holds_records(path, records)
