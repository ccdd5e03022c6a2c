"""Fetch a real Kafka broker for tests: the jars that pom.xml names, once, each held against its pinned checksum.

`PYTHONPATH=tests python -m support.servers.build_kafka` puts them beside the other servers (servers/build.py).
It needs Java and Maven. Standard library only: it runs before anything is installed.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

from support.servers.build import BuildError, cache, once, say

HERE = Path(__file__).resolve().parent
POM, SUMS = HERE / "pom.xml", HERE / "kafka.sha256"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


def folder() -> Path:
    """Return where the jars of this pom.xml and these checksums are, or will be."""
    return cache() / f"kafka-{hashlib.sha256(POM.read_bytes() + SUMS.read_bytes()).hexdigest()[:16]}"


def built() -> Path | None:
    """Return the folder of the jars if they were fetched."""
    return folder() if folder().is_dir() else None


def missing() -> str:
    """Return what a broker lacks on this machine; nothing when one can be started."""
    if shutil.which("java") is None:
        return "no Kafka: 'java' is not installed (a Java 17 runtime)"
    return "" if built() else "no Kafka: its jars are not fetched (make servers)"


def build() -> Path:
    """Return the folder of the jars; fetch them first if nobody has. Raises: BuildError."""

    def make(jars: Path) -> None:
        _fetch(jars)
        verify(jars)

    return once(folder(), make)


def _fetch(jars: Path) -> None:
    if shutil.which("mvn") is None:
        raise BuildError("cannot fetch Kafka: 'mvn' is not installed; install maven and a Java 17 runtime")
    say("fetching Kafka, some 43 MB, once")
    command = ["mvn", "-q", "-B", "-f", str(POM), COPY, "-DincludeScope=runtime", f"-DoutputDirectory={jars}"]
    told = subprocess.run(command, capture_output=True, text=True)
    if told.returncode:
        raise BuildError(f"cannot fetch Kafka: mvn failed:\n{(told.stdout + told.stderr)[-2000:]}")


def verify(jars: Path) -> None:
    """Hold every jar against kafka.sha256. Raises: BuildError naming what differs."""
    wanted = dict(reversed(line.split()) for line in SUMS.read_text().splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(jars.glob("*.jar"))}
    odd = sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))
    if odd:
        raise BuildError(f"cannot use the jars of Kafka: not the pinned ones: {', '.join(odd)}; try another mirror")


if __name__ == "__main__":
    try:
        print(build())
    except BuildError as refused:
        sys.exit(f"servers: {refused}")
