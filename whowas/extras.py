"""How what is optional gets installed, in the line that works for this installation: a checkout, a wheel, an index."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sys
from importlib.util import find_spec
from pathlib import Path

# What each extra is for, and by which module it is known to be there.
EXTRAS = {
    "kafka": ("kafka", "reads and writes Kafka"),
    "confluent": ("confluent_kafka", "the same, in less time"),
    "rules": ("sigma", "judges flows by Sigma rules"),
    "watch": ("kubernetes", "records a live cluster"),
    "serve": ("starlette", "opens a page over named flows"),
    "delta": ("deltalake", "writes named flows as a Delta table"),
    "plot": ("altair", "draws named flows in a notebook"),
    "samples": ("scapy", "makes the samples anew"),
}
CHECKOUT = Path(__file__).resolve().parent.parent


def install_line(extra: str) -> str:
    """Return the shell line that installs an extra (or several, with commas) beside the whowas that runs."""
    return f"{_installer()} {_wanted(extra)}"


def _installer() -> str:
    """The pip of this interpreter: another one would install where nobody looks."""
    if find_spec("pip") is None:
        return f"uv pip install --python {shlex.quote(sys.executable)}"
    found = shutil.which("pip")
    if found and os.path.dirname(os.path.abspath(found)) == os.path.dirname(os.path.abspath(sys.executable)):
        return "pip install"
    return f"{shlex.quote(sys.executable)} -m pip install"


def _wanted(extra: str) -> str:
    if (CHECKOUT / "pyproject.toml").is_file():
        where = "." if Path.cwd() == CHECKOUT else str(CHECKOUT)
        return "-e " + _quoted(f"{where}[{extra}]")
    url = _installed_from()
    return _quoted(f"whowas[{extra}] @ {url}" if url else f"whowas[{extra}]")


def _quoted(text: str) -> str:
    """Quoted always: zsh takes brackets for a pattern."""
    return "'" + text.replace("'", "'\\''") + "'"


def _installed_from() -> str:
    """The wheel or folder that was installed, "" for an index (PEP 610)."""
    from importlib.metadata import PackageNotFoundError, distribution

    try:
        told = json.loads(distribution("whowas").read_text("direct_url.json") or "{}")
    except (PackageNotFoundError, ValueError):
        return ""
    return str(told.get("url") or "")
