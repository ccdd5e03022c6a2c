"""The first run: nothing compiled yet, and the package's own folder cannot be written."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import Any

from measure import measure
from peers import whowas_command
from sections import PACKAGES, ROOT, Bench, BenchError, answer

NOBODY = 65534


def first_run(bench: Bench) -> list[dict[str, Any]]:
    """Run a read-only copy of the packages with an empty kernel cache, twice; then with no cache folder at all."""
    copy = bench.inputs.folder / "read-only"
    capture = bench.inputs.folder / "first.pcap"
    sizes = bench.sizes
    whole = bench.inputs.capture(sizes.packets, sizes.conversations, sizes.holds)
    shutil.copyfile(bench.inputs.slice(whole, 1_000), capture)
    history = bench.inputs.history(100, ("runs",))
    _copy_packages(copy)
    drop, how = _without_rights()
    rows = []
    cache = bench.inputs.folder / "cache"
    tries = (("first run", cache), ("second run", cache), ("cache folder cannot be written", Path("/proc")))
    for name, folder in tries:
        bench.say(f"{name}, packages read-only ({how})")
        _fresh(cache, bench.out, keep=name == "second run")
        words = [*drop, sys.executable, "-m", "whowas", *whowas_command(capture, history, bench.out)[1:]]
        env = {
            "PYTHONPATH": str(copy),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": "/proc",
            "XDG_CACHE_HOME": str(folder),
            "TMPDIR": str(folder),
        }
        run = measure(words, env=env)
        told = answer(run)
        said = run.said[: run.said.index("{")].strip()
        if told["packets"] != 1_000:
            raise BenchError(f"the {name} read {told['packets']} packets of 1,000")
        rows.append({"what": name, "wall": run.wall, "packets": told["packets"], "says": said, "rights": how})
    _remove(copy)
    return rows


def _copy_packages(copy: Path) -> None:
    _remove(copy)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for top, _, names in os.walk(copy):
        for name in names:
            os.chmod(os.path.join(top, name), 0o444)
        os.chmod(top, 0o555)


def _remove(copy: Path) -> None:
    for top, _, _ in os.walk(copy):
        os.chmod(top, 0o755)
    shutil.rmtree(copy, ignore_errors=True)


def _fresh(cache: Path, out: Path, *, keep: bool) -> None:
    shutil.rmtree(out, ignore_errors=True)
    if not keep:
        shutil.rmtree(cache, ignore_errors=True)
        cache.mkdir()


def _without_rights() -> tuple[list[str], str]:
    """Words that take root's right to write anywhere, so that a read-only folder is read-only."""
    if os.geteuid() != 0:
        return [], "as a user without rights"
    if shutil.which("setpriv") is None:
        return [], "as root: 'setpriv' is missing, so nothing is really read-only"
    return ["setpriv", "--bounding-set=-dac_override", "--inh-caps=-dac_override"], "root without dac_override"
