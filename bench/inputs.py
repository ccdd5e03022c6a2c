"""Captures and histories of the sizes asked for, made once and kept in one folder."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
# A pcap header; a record's header and 130 bytes, the same for each (make_capture.py).
HEADER, RECORD = 24, 16 + 130


@dataclass
class Inputs:
    """Makes inputs below `folder`; the same size is made once.

    Each is made by a program of its own. This one stays small, without numpy: the kernel counts the memory
    of who starts a program as that program's, until it begins.
    """

    folder: Path
    slots: int = 2_000

    def capture(self, packets: int, conversations: int, holds: int) -> Path:
        """A capture whose ends hold their addresses in the history of so many holds."""
        path = self.folder / f"capture-{packets}-{conversations}-{holds}.pcap"
        if not path.exists():
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
    from cluster_day import make_day, write_evidence
    from make_capture import make_traffic, write_capture

    kind, path, *numbers = sys.argv[1:]
    slots = int(numbers[-1])
    if kind == "capture":
        packets, conversations, holds = (int(number) for number in numbers[:3])
        write_capture(Path(path), make_traffic(make_day(holds, min(slots, holds)), packets, conversations))
    else:
        holds = int(numbers[0])
        write_evidence(Path(path), make_day(holds, min(slots, holds)), tuple(numbers[1].split(",")))


if __name__ == "__main__":
    main()
