"""Progress bars of a replay."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from whowas.cli.terminal import bars, clean, rate, size

if TYPE_CHECKING:
    pass


class Bars:
    """One bar an input, on a terminal; silent elsewhere."""

    def __init__(self, shown: bool) -> None:
        self._shown = shown
        self._tasks: dict[str, Any] = {}
        self._bars: Any = None

    def __enter__(self) -> Bars:
        if self._shown:
            self._bars = bars()
            self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bars is not None:
            for task in self._bars.task_ids:
                known = self._bars.tasks[task].total
                self._bars.update(task, completed=known or 1, total=known or 1)
            self._bars.stop()

    def _show(self, path: str, consumed: int, total: int, read: Callable[[float], str]) -> None:
        if self._bars is None:
            return
        if path not in self._tasks:
            for older in self._tasks.values():
                self._bars.update(older, completed=self._bars.tasks[older].total)
            name = clean(os.path.basename(path)) if path != "-" else "standard input"
            self._tasks[path] = self._bars.add_task(name, total=total or None, read="")
        task = self._bars.tasks[self._tasks[path]]
        self._bars.update(self._tasks[path], completed=consumed, read=read(max(task.elapsed or 0.0, 1e-3)))

    def capture(self, seen: Any) -> None:
        """Take the reading room's word on a capture."""
        self._show(
            seen.path,
            seen.consumed,
            seen.total,
            lambda took: f"{size(seen.consumed)}  {_progressed(seen, took)}/s",
        )

    def history(self, seen: Any) -> None:
        """Take the reading room's word on evidence."""
        self._show(seen.path, seen.consumed, seen.total, lambda _took: size(seen.consumed))


def _progressed(seen: Any, took: float) -> str:
    """What was read so far of the run, and how fast: of a flow log records, else packets."""
    number, what = (seen.records, "records") if seen.records else (seen.packets, "packets")
    return f"{number:,} {what}  {rate(number / took)}"
