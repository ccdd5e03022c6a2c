"""The peers: what each is, whether it is here, and the command that reads a capture with it."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
Words = list[str]


@dataclass(frozen=True)
class Peer:
    """A program that turns captures into flows. `slice`: packets it is given; None is all."""

    name: str
    does: str
    missing: str
    command: Callable[[Path, Path], Words]
    slice: int | None = None


def _program(name: str, package: str) -> str:
    return "" if shutil.which(name) else f"'{name}' is not installed; Debian's package is {package}"


def _library(name: str) -> str:
    if importlib.util.find_spec(name) is not None:
        return ""
    return f"'{name}' is not installed; pip install {name}"


def _python(name: str) -> Callable[[Path, Path], Words]:
    return lambda capture, _out: [sys.executable, str(HERE / "python_peers.py"), name, str(capture)]


def whowas_command(capture: Path, history: Path, out: Path, *more: str) -> Words:
    """Replay to named Parquet files."""
    program = Path(sys.executable).with_name("whowas")
    words = [str(program), "replay", str(capture), "--history", str(history), "--out", str(out), "--json"]
    return [*words, "--existing", "replace-all", *more]


def peers(history: Path, port: int) -> list[Peer]:
    """Every peer, whowas first. `port`: where somebody takes NetFlow packets on this machine."""

    def softflowd(capture: Path, out: Path) -> Words:
        # Its own table of 8,192 flows, at which it is fastest; it cuts flows at that, a larger one costs it time.
        # Its control socket would wait for ever when it reads a file.
        words = ["softflowd", "-d", "-r", str(capture), "-n", f"127.0.0.1:{port}", "-v", "10"]
        return [*words, "-p", str(out.with_suffix(".pid")), "-c", "none"]

    def nfpcapd(capture: Path, out: Path) -> Words:
        return ["nfpcapd", "-r", str(capture), "-w", str(out)]

    return [
        Peer("whowas", "named Parquet", "", lambda capture, out: whowas_command(capture, history, out)),
        Peer("softflowd", "outer flows as IPFIX, no names", _program("softflowd", "softflowd"), softflowd),
        Peer("nfpcapd", "flows in nfdump files, no names", _program("nfpcapd", "nfdump"), nfpcapd),
        Peer("nfstream", "flows in Python, no names", _library("nfstream"), _python("nfstream"), 400_000),
        Peer("dpkt", "a dict of flows in Python", _library("dpkt"), _python("dpkt"), 200_000),
        Peer("scapy", "a dict of flows in Python", _library("scapy"), _python("scapy"), 20_000),
    ]
