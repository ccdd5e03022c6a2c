"""Captures and histories of the sizes asked for, made once and kept in one folder."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from cluster_day import Day, make_day, write_evidence
from make_capture import RECORD, make_traffic, write_capture

HERE = Path(__file__).resolve().parent
HEADER = 24


@dataclass
class Inputs:
    """Makes inputs below `folder`; the same size is made once."""

    folder: Path
    slots: int = 2_000
    _days: dict[int, Day] = field(default_factory=dict)

    def day(self, holds: int) -> Day:
        if holds not in self._days:
            self._days[holds] = make_day(holds, self.slots)
        return self._days[holds]

    def capture(self, packets: int, conversations: int, holds: int) -> Path:
        """A capture whose ends hold their addresses in the history of so many holds."""
        path = self.folder / f"capture-{packets}-{conversations}-{holds}.pcap"
        if not path.exists():
            # In a program of its own: what making it takes must not count as ours.
            words = [str(HERE / "inputs.py"), "capture", str(path), str(packets), str(conversations), str(holds)]
            subprocess.run([sys.executable, *words, str(self.slots)], check=True)
        return path

    def history(self, holds: int, stages: tuple[str, ...] = ("made", "runs", "ends", "gone")) -> Path:
        """The evidence of the day; `stages` of each pod's life that were recorded."""
        path = self.folder / f"history-{holds}-{'-'.join(stages)}.jsonl"
        if not path.exists():
            words = [str(HERE / "inputs.py"), "history", str(path), str(holds), ",".join(stages)]
            subprocess.run([sys.executable, *words, str(self.slots)], check=True)
        return path

    def slice(self, capture: Path, packets: int) -> Path:
        """The first packets of a capture."""
        path = capture.with_suffix(f".first-{packets}.pcap")
        if not path.exists():
            with capture.open("rb") as whole:
                path.write_bytes(whole.read(HEADER + packets * RECORD))
        return path

    def drop(self, *paths: Path) -> None:
        """Give disk space back."""
        for path in paths:
            path.unlink(missing_ok=True)


def main() -> None:
    """Make one file; how Inputs calls itself."""
    kind, path, *numbers = sys.argv[1:]
    inputs = Inputs(Path(path).parent, int(numbers[-1]))
    if kind == "capture":
        packets, conversations, holds = (int(number) for number in numbers[:3])
        write_capture(Path(path), make_traffic(inputs.day(holds), packets, conversations))
    else:
        write_evidence(Path(path), inputs.day(int(numbers[0])), tuple(numbers[1].split(",")))


if __name__ == "__main__":
    main()
