"""Keeps alerts that the other side refuses for ever, with the reason."""

from __future__ import annotations

import time
from pathlib import Path

from sinks.files.append_only import AppendedLines
from whowas.stages import Alert
from whowas.timestamps import rfc3339


class RefusedAlerts:
    """Appends to `path`; count: how many since the start. Without a path an alert cannot be refused."""

    def __init__(self, path: str | Path) -> None:
        self.count = 0
        self._lines = AppendedLines(path)

    def check(self) -> None:
        """Open the file. Raises: OutputError."""
        self._lines.check()

    def keep(self, alert: Alert, reason: str) -> None:
        """Write an alert down; it is on disk on return. Raises: OutputError."""
        when = rfc3339(time.time_ns() // 1000)
        told = {"refused": when, "reason": reason, "key": alert.key, "level": alert.level, "topic": alert.topic}
        self._lines.write([told | {"alert": alert.body}])
        self._lines.sync()
        self.count += 1

    def close(self) -> None:
        """Give the file back."""
        self._lines.close()
