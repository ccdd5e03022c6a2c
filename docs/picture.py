"""Draws docs/first-screen.svg from what two commands really print on a terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

ROOT = Path(__file__).resolve().parent.parent
WIDTH = 124
SAMPLES = "samples/overlay"
COMMANDS = (
    f"whowas replay {SAMPLES}/node1-underlay.pcap.zst --history {SAMPLES}/history.jsonl.gz "
    f"--networks {SAMPLES}/networks.toml --out out/picture --existing replace-all",
    f"whowas who 10.244.1.20 --at 2026-11-21T08:39:50Z --history {SAMPLES}/history.jsonl.gz",
)


def printed(command: str) -> str:
    """Run a command on a terminal of its own and return what it printed, colours included."""
    words = shlex.split(command)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 60, WIDTH, 0, 0))
    program = str(Path(sys.executable).with_name(words[0]))
    env = os.environ | {"TERM": "xterm-256color"}
    done = subprocess.Popen([program, *words[1:]], cwd=ROOT, env=env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    found = []
    with contextlib.suppress(OSError):  # that is how a terminal says that the other side is gone
        while data := os.read(ours, 65536):
            found.append(data)
    if done.wait():
        sys.exit(f"cannot run {command}: {b''.join(found).decode()}")
    return b"".join(found).decode()


def last_frame(text: str) -> str:
    """Leave out what a progress bar drew before: everything up to the last erased line."""
    return text.split("\x1b[2K")[-1].replace("\r", "")


def main() -> None:
    """Write the picture."""
    console = Console(record=True, width=WIDTH, file=open(os.devnull, "w"))  # noqa: SIM115 - until the end
    for command in COMMANDS:
        console.print(Text(f"$ {command}", style="bold"))
        console.print(Text.from_ansi(last_frame(printed(command))))
    # Fonts from elsewhere would be asked for by every reader's browser.
    picture = re.sub(r"@font-face \{.*?\}", "", console.export_svg(title="whowas"), flags=re.S)
    (ROOT / "docs/first-screen.svg").write_text(picture.replace("Fira Code", "monospace"))


if __name__ == "__main__":
    main()
