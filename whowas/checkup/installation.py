"""What is installed, and whether compiled kernels can be kept."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

from whowas.checkup.finding import FAIL, OK, WARN, Finding
from whowas.extras import CHECKOUT, EXTRAS, install_line
from whowas.settings import StreamConfig
from whowas.version import __version__

PACKAGES = ("numba", "numpy", "pyarrow", "duckdb", "msgspec")
OLDEST = (3, 11)


def versions() -> Iterator[Finding]:
    """Say the versions of Python, whowas and what it stands on."""
    python = f"{platform.python_version()}, {platform.system()} {platform.machine()}, {sys.executable}"
    old = sys.version_info[:2] < OLDEST
    yield Finding("installed", "python", FAIL if old else OK, python, "Python 3.11 or newer is needed" if old else "")
    checkout = (CHECKOUT / "pyproject.toml").is_file()
    yield Finding("installed", "whowas", OK, f"{__version__}, {'checkout' if checkout else 'package'} in {CHECKOUT}")
    for name in PACKAGES:
        try:
            yield Finding("installed", name, OK, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield Finding("installed", name, FAIL, "it is not installed", "install whowas anew; it needs it")


def extras(config: StreamConfig | None) -> Iterator[Finding]:
    """Say which extras are there; one that the configuration needs and that is missing fails."""
    needed = _needed(config)
    for name, (module, purpose) in EXTRAS.items():
        if find_spec(module) is not None:
            yield Finding("installed", f"[{name}]", OK, f"is installed: {purpose}")
        elif name in needed:
            yield Finding("installed", f"[{name}]", FAIL, f"is missing, the configuration needs it: {purpose}",
                          install_line(name))  # fmt: skip
        elif name != "samples":
            yield Finding("installed", f"[{name}]", OK, f"is not installed ({purpose}): {install_line(name)}")


def _needed(config: StreamConfig | None) -> set[str]:
    if config is None:
        return set()
    found = {"rules"} if config.rules is not None else set()
    speaks = config.input.topics or config.kafka_output or config.dead_letters.topic or config.history.topic
    if speaks or (config.alerts is not None and config.alerts.topic):
        found.add("confluent" if config.kafka.client == "confluent" else "kafka")
    return found


def kernels() -> Iterator[Finding]:
    """Say whether compiled kernels outlive a run."""
    from whowas.kernels import needs_compiling, why_not_cached

    if os.environ.get("NUMBA_DISABLE_JIT") == "1":
        yield Finding("installed", "kernels", WARN, "are not compiled (NUMBA_DISABLE_JIT=1): a hundred times slower",
                      "unset NUMBA_DISABLE_JIT")  # fmt: skip
        return
    if why := why_not_cached():
        yield Finding("installed", "kernels", WARN, f"cannot be kept ({why}): each run compiles them anew, a minute in all",
                      "give XDG_CACHE_HOME a folder that you alone can write")  # fmt: skip
        return
    import numba

    where = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    state = "none compiled yet, the first run takes some seconds longer" if needs_compiling() else "compiled"
    yield Finding("installed", "kernels", OK, f"kept in {where}: {state}")
