"""Folders that compiled code is loaded from: nobody else may fill or exchange them, up to the root."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from whowas.trusted_folder import UntrustedError, trusted_folder

NOBODY = 65534
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives folders away")


def test_a_new_folder_is_its_owners_alone_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        found = trusted_folder(tmp_path / "a" / "b" / "c")
    finally:
        os.umask(before)
    assert found == tmp_path / "a" / "b" / "c"
    assert [path.stat().st_mode & 0o777 for path in (found, found.parent, found.parent.parent)] == [0o700] * 3
    assert trusted_folder(found) == found


@pytest.mark.parametrize(
    ("which", "mode", "trusted"),
    [("leaf", 0o777, False), ("leaf", 0o1777, False), ("leaf", 0o755, True), ("above", 0o777, False),
     ("above", 0o1777, True), ("above", 0o702, False), ("above", 0o755, True)],
)  # fmt: skip
def test_others_write_neither_to_it_nor_to_what_is_above(which: str, mode: int, trusted: bool, tmp_path: Path) -> None:
    leaf = tmp_path / "above" / "leaf"
    leaf.mkdir(parents=True)
    (leaf if which == "leaf" else leaf.parent).chmod(mode)
    if trusted:
        assert trusted_folder(leaf) == leaf
    else:
        with pytest.raises(UntrustedError, match=rf"{which}' can be written to by others \(mode {mode:o}\)"):
            trusted_folder(leaf)


@needs_root
@pytest.mark.parametrize("which", ["leaf", "above"])
def test_what_belongs_to_another_is_not_used(which: str, tmp_path: Path) -> None:
    leaf = tmp_path / "above" / "leaf"
    leaf.mkdir(parents=True, mode=0o700)
    os.chown(leaf if which == "leaf" else leaf.parent, NOBODY, NOBODY)
    with pytest.raises(UntrustedError, match=rf"{which}' belongs to somebody else"):
        trusted_folder(leaf)


@needs_root
def test_a_group_is_trusted_only_where_it_is_the_user_alone(tmp_path: Path) -> None:
    leaf = tmp_path / "leaf"
    leaf.mkdir()
    leaf.chmod(0o775)
    assert trusted_folder(leaf) == leaf
    os.chown(leaf, 0, 12345)
    with pytest.raises(UntrustedError, match="mode 775"):
        trusted_folder(leaf)


def test_a_link_is_followed_once_and_never_afterwards(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "real").mkdir(mode=0o700)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "real")
    assert trusted_folder(link / "cache") == tmp_path / "real" / "cache"
    # What was a folder when the name was resolved is a link by now.
    monkeypatch.setattr(os.path, "realpath", str)
    with pytest.raises(OSError):
        trusted_folder(link / "cache")


SAY = "import whowas.kernels as k; print(*k._cache_folder(), sep='|')"


@needs_root
def test_kernels_are_not_kept_where_another_could_exchange_them(tmp_path: Path, root: Path) -> None:
    planted = tmp_path / "whowas-kernels-0"
    planted.mkdir(mode=0o700)
    os.chown(planted, NOBODY, NOBODY)
    given = {**os.environ, "TMPDIR": str(tmp_path), "XDG_CACHE_HOME": "/dev/null"}
    given.pop("NUMBA_CACHE_DIR", None)
    words = [sys.executable, "-c", SAY]
    told = subprocess.run(words, env=given, cwd=root, capture_output=True, text=True, check=True).stdout
    assert told == f"None|'{planted}' belongs to somebody else (user {NOBODY})\n"
    mine = given | {"NUMBA_CACHE_DIR": str(tmp_path / "mine")}
    told = subprocess.run(words, env=mine, cwd=root, capture_output=True, text=True, check=True).stdout
    assert told == f"{tmp_path / 'mine'}|\n"
    (tmp_path / "mine").chmod(0o777)
    told = subprocess.run(words, env=mine, cwd=root, capture_output=True, text=True, check=True).stdout
    assert "can be written to by others (mode 777)" in told


@pytest.mark.parametrize("home", ["/", "/root"])
def test_a_container_keeps_its_kernels_in_the_temporary_folder(home: str, tmp_path: Path, root: Path) -> None:
    """A home that cannot be written to, or none: /tmp is sticky."""
    shared = tmp_path / "tmp"
    shared.mkdir()
    shared.chmod(0o1777)
    given = {**os.environ, "HOME": home, "TMPDIR": str(shared), "XDG_CACHE_HOME": "/proc/nowhere"}
    given.pop("NUMBA_CACHE_DIR", None)
    told = subprocess.run([sys.executable, "-c", SAY], env=given, cwd=root, capture_output=True, text=True, check=True)
    assert told.stdout.startswith(f"{shared}/whowas-kernels-{os.geteuid()}/")
