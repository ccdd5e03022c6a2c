"""Alerts as JSON lines in one file that grows: one object a line, the view as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sinks.files.append_only import AppendedLines
from whowas.stages import Alert


class FindingsJsonl:
    """Appends to `path`. It may be rotated by rename (logrotate): the next alert begins the file anew."""

    def __init__(self, path: str | Path) -> None:
        self.trouble = ""
        self.refused = 0
        self._lines = AppendedLines(path)

    def check(self) -> None:
        """Open the file and cut off what a killed process left of a line. Raises: OutputError."""
        self._lines.check()

    def send(self, alerts: Sequence[Alert]) -> None:
        """Append the alerts, all or none. Raises: OutputError."""
        self._lines.write(one.body for one in alerts)

    def flush(self, seconds: float) -> bool:  # noqa: ARG002 - a disk cannot be waited for with an end
        """Return when all is on disk. Raises: OutputError."""
        self._lines.sync()
        return True

    def close(self) -> None:
        """Give the file back."""
        self._lines.close()
