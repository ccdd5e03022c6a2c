"""What a person sees of whowas in a Python prompt."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import whowas
from enrich import History
from whowas.timestamps import rfc3339


def test_dir_shows_what_a_program_may_use_and_imports_nothing() -> None:
    """In a fresh process: here the tests have loaded more than a user has."""
    program = "import sys, whowas; print(*dir(whowas)); print('numpy' in sys.modules)"
    shown, numpy_loaded = subprocess.check_output([sys.executable, "-c", program], text=True).splitlines()
    public = [name for name in shown.split() if not name.startswith("__")]
    assert public == ["annotate", "load_history", "replay", "who"]
    assert numpy_loaded == "False"
    assert all(callable(getattr(whowas, name)) for name in public)


def test_a_history_is_one_line_with_clusters_holds_and_span(root: Path) -> None:
    history = whowas.load_history(str(root / "samples/crafted/history.jsonl"))
    (name,) = history.clusters
    covered = history.clusters[name].covered
    text = repr(history)
    assert "\n" not in text
    assert len(text) < 200
    assert f"History of {name}: {len(history.clusters[name].holds)} holds" in text
    assert len(history.clusters[name].holds) > 0
    assert f"watched {rfc3339(min(covered)[0])} to {rfc3339(max(end for _, end in covered))}>" in text
    assert repr(History({})) == "<History of no cluster: 0 holds, watched no time>"
