"""What `make demo` and `make test` install is what is locked, whatever is published later."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path

import pytest
from install.index import NEWER, Index, locked_in, requirements_of
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from support.needs import need

# What the first Python 3.11 brought.
OLDEST_PIP = "pip==22.3 --hash=sha256:1daab4b8d3b97d1d763caeb01a4640a2250a0ea899e257b1e44b9eded91e15ab\n"

# Extras and groups of pyproject.toml, by the lock that holds them.
HELD = {
    "build": ((), ("build",)),
    "run": (("rules", "serve"), ()),
    "dev": (("rules", "serve"), ("dev",)),
    "bench": (("rules", "serve"), ("dev", "bench")),
    "image": (("watch", "kafka", "confluent", "rules"), ()),
}

# Peers of the benchmarks, and what they alone bring: the tests do without.
MAY_BE_MISSING = {"dpkt", "nfstream", "cffi", "pycparser"}


class Machine:
    """A checkout on a fresh machine, which reaches the index in the folder alone."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.folder = folder
        self.checkout = folder / "checkout"
        self.index = Index(folder / "index")
        (self.checkout / "requirements").mkdir(parents=True)
        self.index.folder.mkdir()
        for name in ("Makefile", "pyproject.toml"):
            shutil.copy(root / name, self.checkout)
        for lock in sorted((root / "requirements").glob("*.txt")):
            self.index.lock_anew(lock, self.checkout / "requirements" / lock.name)
        self.index.write_pages()

    def environment(self, **more: str) -> dict[str, str]:
        """Nothing of this machine but where programs lie."""
        home = self.folder / "home"
        home.mkdir(exist_ok=True)
        return {"PATH": os.environ["PATH"], "HOME": str(home), "PIP_INDEX_URL": self.index.url, **more}

    def make(self, target: str, python: Path | str = sys.executable, **more: str) -> None:
        """Run a target of the Makefile as it stands."""
        words = ["make", target, f"PYTHON={python}"]
        run = subprocess.run(words, cwd=self.checkout, env=self.environment(**more), capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr

    def installed(self) -> dict[str, str]:
        """Versions by name, but for what a new venv has."""
        (packages,) = (self.checkout / ".venv/lib").glob("python*/site-packages")
        found = importlib.metadata.distributions(path=[str(packages)])
        versions = {canonicalize_name(each.metadata["Name"]): each.version for each in found}
        return {name: versions[name] for name in versions if name not in ("pip", "setuptools")}

    def locked(self, *locks: str) -> dict[str, str]:
        """Versions by name that the locks have for this Python, and the project's own."""
        releases = [each for lock in locks for each in locked_in(self.checkout / f"requirements/{lock}.txt")]
        return {"whowas": "0.1.0"} | {each.name: each.version for each in releases if each.counts_here}


@pytest.fixture
def machine(root: Path, tmp_path: Path) -> Machine:
    """A machine on which nothing is installed yet."""
    return Machine(root, tmp_path)


def test_demo_installs_what_is_locked(machine: Machine) -> None:
    """Newer releases, new files of the same release and yanked ones change nothing."""
    machine.make(".venv/bin/whowas")
    assert machine.installed() == machine.locked("build", "run")


def test_the_tests_install_what_is_locked(machine: Machine) -> None:
    """The same for everything that is needed for development, and the locks ask for nothing that they lack."""
    machine.make("setup")
    assert machine.installed() == machine.locked("build", "run", "dev")
    python = machine.checkout / ".venv/bin/python"
    check = subprocess.run([python, "-m", "pip", "check"], env=machine.environment(), capture_output=True, text=True)
    assert check.returncode == 0, check.stdout
    resolve = [python, "-m", "pip", "install", "--require-hashes", "--ignore-installed", "--dry-run"]
    resolve += ["-r", str(machine.checkout / "requirements/dev.txt")]
    resolved = subprocess.run(resolve, env=machine.environment(), capture_output=True, text=True)
    assert "coverage" in resolved.stderr, "the index tempts nobody: a resolver takes what is locked as well"
    assert resolved.returncode != 0


def test_settings_of_the_user_send_nothing_elsewhere(machine: Machine) -> None:
    """Only where packages are reached is the user's to say."""
    elsewhere = machine.folder / "elsewhere"
    elsewhere.mkdir()
    modules = machine.folder / "modules"
    info = modules / f"click-{NEWER}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: click\nVersion: {NEWER}\n")
    constraint = machine.folder / "constraint.txt"
    constraint.write_text(f"click=={NEWER}\n")
    settings = machine.folder / "pip.conf"
    settings.write_text(
        f"[global]\nindex-url = {machine.index.url}\nrequire-virtualenv = true\nno-binary = :all:\n"
        f"[install]\nuser = true\ntarget = {elsewhere}\nconstraint = {constraint}\n"
    )
    machine.make(
        ".venv/bin/whowas",
        PIP_INDEX_URL="",
        PIP_CONFIG_FILE=str(settings),
        PIP_USER="1",
        PIP_TARGET=str(elsewhere),
        PIP_PREFIX=str(elsewhere),
        PIP_ROOT=str(elsewhere),
        PIP_CONSTRAINT=str(constraint),
        PIP_NO_BINARY=":all:",
        PIP_REQUIRE_HASHES="1",
        PIP_DRY_RUN="1",
        PYTHONPATH=str(modules),
        PYTHONHOME=str(elsewhere),
        VIRTUAL_ENV=str(elsewhere),
    )
    assert machine.installed() == machine.locked("build", "run")
    assert not list(elsewhere.iterdir())


def test_the_oldest_pip_installs_what_is_locked(machine: Machine) -> None:
    """Python 3.11.0 brought pip 22.3."""
    if sys.version_info >= (3, 12):
        pytest.skip("pip 22.3 came with Python 3.11 and does not run on newer ones")
    wheel = _oldest_pip(machine.folder)
    python = machine.folder / "python3.11"
    python.write_text(
        f'#!/bin/sh\n"{sys.executable}" "$@" || exit\n'
        f'[ "$2" != venv ] || "$3/bin/python" -m pip install --quiet --no-index --no-deps "{wheel}"\n'
    )
    python.chmod(0o755)
    machine.make("setup", python)
    version = subprocess.check_output([machine.checkout / ".venv/bin/pip", "--version"], text=True)
    assert version.startswith("pip 22.3 ")
    assert machine.installed() == machine.locked("build", "run", "dev")


def _oldest_pip(folder: Path) -> Path:
    lock = folder / "oldest.txt"
    lock.write_text(OLDEST_PIP)
    words = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "-r", str(lock)]
    fetched = subprocess.run([*words, "--dest", str(folder)], capture_output=True, text=True)
    need(fetched.returncode == 0, f"pip 22.3 cannot be fetched: {fetched.stderr.strip()[-300:]}")
    return folder / "pip-22.3-py3-none-any.whl"


@pytest.mark.parametrize("lock", HELD)
def test_every_release_has_hashes(root: Path, lock: str) -> None:
    """Without one, pip would take any file."""
    releases = locked_in(root / f"requirements/{lock}.txt")
    assert releases
    assert [each.name for each in releases if not each.hashes] == []


def test_every_lock_is_known(root: Path) -> None:
    """A lock that no test closes would be installed unproved."""
    assert {path.stem for path in (root / "requirements").glob("*.txt")} == set(HELD)


def test_versions_are_the_same_in_every_lock(root: Path) -> None:
    """What is measured and shipped is what is tested."""
    versions: dict[str, set[str]] = {}
    for lock in HELD:
        for each in locked_in(root / f"requirements/{lock}.txt"):
            if each.counts_here:
                versions.setdefault(each.name, set()).add(each.version)
    assert {name: found for name, found in versions.items() if len(found) > 1} == {}


@pytest.mark.parametrize("lock", HELD)
def test_a_lock_has_all_that_it_asks_for(root: Path, lock: str) -> None:
    """pip resolves nothing, so extras and what they bring must be in the lock."""
    locked = {each.name: each.version for each in locked_in(root / f"requirements/{lock}.txt") if each.counts_here}
    asked_for, missing = _followed(locked, _asked(root, lock))
    assert missing == []
    unread = {name for name in locked if not _is_installed(name, locked[name])}
    assert unread <= MAY_BE_MISSING, "other releases are installed than are locked; say make setup"
    assert unread or asked_for == set(locked)


def _followed(locked: dict[str, str], asked: Iterable[Requirement]) -> tuple[set[str], list[str]]:
    """Names that requirements lead to, extras followed, and the requirements that the lock does not meet."""
    missing = []
    seen: set[tuple[str, str]] = set()
    waiting = list(asked)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name not in locked or not requirement.specifier.contains(locked[name], prereleases=True):
            missing.append(str(requirement))
        new = {(name, extra) for extra in ("", *requirement.extras)} - seen
        seen |= new
        for name, extra in new:
            waiting += [
                each for each in requirements_of(name) if not each.marker or each.marker.evaluate({"extra": extra})
            ]
    return {name for name, _ in seen}, missing


def _is_installed(name: str, version: str) -> bool:
    try:
        return importlib.metadata.version(name) == version
    except importlib.metadata.PackageNotFoundError:
        return False


def _asked(root: Path, lock: str) -> Iterable[Requirement]:
    """What pyproject.toml puts into a lock."""
    project = tomllib.loads((root / "pyproject.toml").read_text())
    extras, groups = HELD[lock]
    lines = [] if lock == "build" else list(project["project"]["dependencies"])
    for extra in extras:
        lines += project["project"]["optional-dependencies"][extra]
    for group in groups:
        lines += project["dependency-groups"][group]
    return map(Requirement, lines)
