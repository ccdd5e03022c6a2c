"""A signal that comes at any moment of a wait ends it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

# In round n the signal comes at the n-th line of Python that a wait runs, in our code and in the library's.
ROUNDS = """
import signal, sys
from whowas.cli.service import stop_signals
most = 0
for number in range(1, 60):
    seen = 0
    def traced(frame, event, argument):
        global seen
        seen += event == "line"
        if event == "line" and seen == number:
            signal.raise_signal(signal.SIGTERM)
        return traced
    with stop_signals() as stopping:
        sys.settrace(traced)
        stopping.wait(0.001)
        sys.settrace(None)
        most = max(most, seen)
        if number <= most:
            assert stopping.wait(0)
print("all ended", most)
"""


def test_no_moment_of_a_wait_is_wrong_for_a_signal(root: Path) -> None:
    done = subprocess.run([sys.executable, "-c", ROUNDS], cwd=root, capture_output=True, text=True, timeout=60)
    words = done.stdout.split()
    assert words[:2] == ["all", "ended"], done.stderr
    assert int(words[2]) > 2
