"""Files of some kilobytes that expand to a gigabyte: every command reads them in the memory that it has anyway."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from support.bombs import BOMBS, MIB
from support.crafted_packets import pcap
from support.flow_logs import EXAMPLES
from support.fuzz_seeds import POD
from support.peak import run

GIB = 1 << 30
# Above what the command has when it reads next to nothing.
MOST_MIB = 256

RECORD = EXAMPLES["zeek-json"].values[-1]
LARGE_PACKET = pcap([]) + (b"\1\0\0\0\0\0\0\0" + (60 * MIB).to_bytes(4, "little") * 2)

Words = Callable[[str, str], tuple[str, ...]]


def _replay(file: str, history: str) -> tuple[str, ...]:
    return ("replay", file, "-H", history, "-o", f"{file}.out")


def _annotate(file: str, history: str) -> tuple[str, ...]:
    return ("annotate", file, "-H", history)


def _evidence(file: str, _history: str) -> tuple[str, ...]:
    return ("who", "10.0.0.1", "-H", file)


# (what begins it, what is repeated, the command, how it ends)
CASES: dict[str, tuple[bytes, bytes, Words, int]] = {
    "a packet": (LARGE_PACKET, b"\0", _replay, 1),
    "a record": (RECORD + b"\n" + RECORD[:-1] + b',"x":"', b"A", _replay, 1),
    "an array": (b"[" + RECORD + b',{"x":"', b"A", _replay, 1),
    "a log": (RECORD + b'\n{"x":"', b"A", _annotate, 1),
    "evidence": (POD + b'\n{"x":"', b"A", _evidence, 1),
    "evidence that is a list": (POD + b'\n{"kind":"PodList","items":[', b" ", _evidence, 1),
}
ENDINGS = [pytest.param(one, marks=[] if one == "zst" else [pytest.mark.long]) for one in sorted(BOMBS)]


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("case", sorted(CASES))
def test_memory_is_bounded_and_what_came_before_is_kept(case: str, ending: str, root: Path, tmp_path: Path) -> None:
    begins, byte, words, code = CASES[case]
    history = str(root / "samples/crafted/history.jsonl")
    small, bomb = tmp_path / f"small.{ending}", tmp_path / f"bomb.{ending}"
    small.write_bytes(BOMBS[ending](begins, byte, 0))
    bomb.write_bytes(BOMBS[ending](begins, byte, GIB))
    idle = run(tmp_path, *words(str(small), history))
    found = run(tmp_path, *words(str(bomb), history))
    assert "Traceback" not in found.told
    assert found.mib <= idle.mib + MOST_MIB, (idle.mib, found.mib)
    assert found.code == code, found.told
