"""A package index in a folder, in which everything that is locked has something newer."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

NEWER = "9999.0"  # a release that came after the lock
REBUILT = "1"  # a file that was added to the locked release; pip prefers it to one without a number

# hatchling stands for itself: with it pip installs the project, editable, from a wheel that it carries.
BACKEND = """
import pathlib, shutil

def build_editable(wheel_directory, config_settings=None, metadata_directory=None):
    made = next(pathlib.Path(__file__).parent.glob("*.whl"))
    shutil.copy(made, wheel_directory)
    return made.name
"""


@dataclass(frozen=True)
class Locked:
    """One release in a lock file."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def counts_here(self) -> bool:
        """Is it for the Python that runs?"""
        marker = Requirement(f"{self.name}{self.marker}").marker
        return marker is None or marker.evaluate()


def locked_in(lock: Path) -> list[Locked]:
    """A lock file holds releases, each with its marker and hashes."""
    text = lock.read_text().replace("\\\n", " ")
    return [_locked(line) for line in text.splitlines() if line.strip() and not line.startswith("#")]


def _locked(line: str) -> Locked:
    release, *hashes = re.split(r"\s+--hash=", line.strip())
    pinned = re.fullmatch(r"([\w.-]+)==([^\s;]+)\s*(;.*)?", release)
    assert pinned, f"not pinned: {line}"
    return Locked(canonicalize_name(pinned[1]), pinned[2], pinned[3] or "", tuple(hashes))


class Index:
    """Simple pages, and tiny wheels whose dependencies are those of the real ones."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = (folder / "simple").as_uri()
        self._pages: dict[str, list[str]] = {}

    def lock_anew(self, lock: Path, copy: Path) -> None:
        """Write the same lock with the hashes that the tiny wheels have."""
        lines = []
        for locked in locked_in(lock):
            digest = self._publish(locked)
            lines.append(f"{locked.name}=={locked.version} {locked.marker} --hash=sha256:{digest}\n")
        copy.write_text("".join(lines))

    def write_pages(self) -> None:
        """Write one page for each name, as any index shows it."""
        for name, files in self._pages.items():
            page = self.folder / "simple" / name / "index.html"
            page.parent.mkdir(parents=True, exist_ok=True)
            page.write_text("<!DOCTYPE html><html><body>" + "\n".join(dict.fromkeys(files)) + "</body></html>")

    def _publish(self, locked: Locked) -> str:
        """The locked release is yanked, built once more, and followed by a newer one."""
        digest = self._wheel(locked.name, locked.version, attributes='data-yanked="old"')
        self._wheel(locked.name, locked.version, build=REBUILT)
        self._wheel(locked.name, NEWER)
        return digest

    def _wheel(self, name: str, version: str, *, build: str = "", attributes: str = "") -> str:
        path = write_wheel(self.folder, name, version, build=build)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        link = f'<a href="{path.as_uri()}#sha256={digest}" {attributes}>{path.name}</a>'
        self._pages.setdefault(name, []).append(link)
        return digest


def write_wheel(folder: Path, name: str, version: str, *, build: str = "") -> Path:
    """A wheel is written with nothing in it but its metadata."""
    stem = name.replace("-", "_")
    info = f"{stem}-{version}.dist-info"
    path = folder / "-".join(filter(None, (stem, version, build, "py3-none-any.whl")))
    needs = "".join(f"Requires-Dist: {need}\n" for need in requirements_of(name))
    extras = "".join(f"Provides-Extra: {extra}\n" for extra in _extras_of(name))
    wheel = f"Wheel-Version: 1.0\nGenerator: {build or 'tests'}\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    files = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}{extras}",
        f"{info}/WHEEL": wheel,
    }
    if name == "hatchling":
        files |= {"hatchling/__init__.py": "", "hatchling/build.py": BACKEND}
    with zipfile.ZipFile(path, "w") as archive:
        for inside, text in (*files.items(), (f"{info}/RECORD", "".join(f"{file},,\n" for file in files))):
            archive.writestr(zipfile.ZipInfo(inside), text)
        if name == "hatchling":
            project = write_wheel(folder, "whowas", "0.1.0")
            archive.writestr(zipfile.ZipInfo(f"hatchling/{project.name}"), project.read_bytes())
    return path


def requirements_of(name: str) -> list[Requirement]:
    """What a package asks for is read from the one that is installed; of others nothing is known."""
    try:
        return [Requirement(line) for line in importlib.metadata.requires(name) or ()]
    except importlib.metadata.PackageNotFoundError:
        return []


def _extras_of(name: str) -> Iterator[str]:
    try:
        yield from importlib.metadata.metadata(name).get_all("Provides-Extra") or ()
    except importlib.metadata.PackageNotFoundError:
        return
