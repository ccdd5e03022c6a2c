"""Build a real Kubernetes control plane for tests: etcd, kube-apiserver, kube-controller-manager and kwok.

`python tests/support/servers/build.py` compiles them from the Go modules that go.sum pins, once for each go.sum, into
`${XDG_CACHE_HOME:-~/.cache}/whowas/servers`. It needs Go, and where that is too old fetches a newer one (as a Go
module, checksum pinned) from where the old one gets modules. Standard library only: it runs before all is installed.
"""

from __future__ import annotations

import base64
import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGES = {
    "etcd": "go.etcd.io/etcd/server/v3",
    "kube-apiserver": "k8s.io/kubernetes/cmd/kube-apiserver",
    "kube-controller-manager": "k8s.io/kubernetes/cmd/kube-controller-manager",
    "kwok": "sigs.k8s.io/kwok/cmd/kwok",
}
# kwok does nothing without them: its own, for nodes that are ready at once and pods that run at once.
STAGES = ("node/fast/node-initialize", "node/heartbeat/node-heartbeat") + tuple(
    f"pod/fast/pod-{stage}" for stage in ("ready", "complete", "delete")
)
_VERSION = "k8s.io/component-base/version.git"
FLAGS = (
    "-trimpath",
    "-buildvcs=false",
    "-mod=readonly",
    "-ldflags",
    f"-s -w -X {_VERSION}Version=v1.36.3 -X {_VERSION}Major=1 -X {_VERSION}Minor=36",
)
SETTINGS = {"GOTOOLCHAIN": "local", "GOWORK": "off", "CGO_ENABLED": "0"}
LEAST_GO = (1, 26)
TOOLCHAIN = "go1.26.8"
# What `go mod download -json golang.org/toolchain@v0.0.1-go1.26.8.linux-amd64` verified and printed as Sum.
TOOLCHAIN_SUMS = {
    "amd64": "ZOmGe1OnfREDMIdb1Qi4G9JSuDPBLGExZMQ4nis1RXM=",
    "arm64": "sYL/O6MqS68ML0kjsQ36WoYIpJqkw60TxizWUYUKQMc=",
}


class BuildError(Exception):
    """What stands in the way of the servers, and what to do."""


def cache() -> Path:
    """Return where servers are kept, outside any checkout."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "whowas" / "servers"


def folder() -> Path:
    """Return where the servers of this go.mod, go.sum and these flags are, or will be."""
    told = hashlib.sha256()
    for name in ("go.mod", "go.sum"):
        told.update((HERE / name).read_bytes())
    told.update("\0".join((*FLAGS, *PACKAGES.values(), *STAGES, platform.machine())).encode())
    return cache() / told.hexdigest()[:16]


def built() -> Path | None:
    """Return the folder of the servers if they were built."""
    return folder() if folder().is_dir() else None


def build() -> Path:
    """Return the folder of the servers; build them first if nobody has. Raises: BuildError."""

    def make(ready: Path) -> None:
        ready.mkdir()
        _compile(go(), ready)

    return once(folder(), make)


def once(target: Path, make: Callable[[Path], None]) -> Path:
    """Return a file or folder of the cache, made whole or not at all by whoever comes first."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with alone(target.with_suffix(".lock")):
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent, prefix="making-") as making:
                ready = Path(making) / "ready"
                make(ready)
                ready.rename(target)
    return target


@contextmanager
def alone(lock: Path) -> Iterator[None]:
    """Let one process at a time in; the others wait and find the work done."""
    with lock.open("w") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another build runs; waiting for it")
            fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _compile(compiler: Path, target: Path) -> None:
    environment = {**os.environ, **SETTINGS}
    command = [str(compiler), "build", "-v", *FLAGS, "-o", f"{target}/", *PACKAGES.values()]
    say(f"building {', '.join(PACKAGES)} with {compiler}; some six minutes on two cores, once")
    started = said = time.monotonic()
    lines: list[str] = []
    with subprocess.Popen(command, cwd=HERE, env=environment, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        for line in running.stderr:
            lines.append(line)
            if time.monotonic() - said > 10:
                said = time.monotonic()
                say(f"{said - started:4.0f} s, {len(lines):,} packages, now {line.strip()}")
    if running.returncode:
        raise BuildError(f"cannot build the servers: go build failed:\n{''.join(lines[-20:])}")
    (target / "server").rename(target / "etcd")  # what its package is called
    kwok = subprocess.run(
        [str(compiler), "list", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kwok"],
        cwd=HERE, env=environment, check=True, capture_output=True, text=True,
    )  # fmt: skip
    stages = Path(kwok.stdout.strip()) / "kustomize" / "stage"
    (target / "stages.yaml").write_text("\n---\n".join((stages / f"{one}.yaml").read_text() for one in STAGES))
    say(f"built in {time.monotonic() - started:.0f} s")


def go() -> Path:
    """Return a Go that is new enough: the machine's, one fetched before, or one fetched now."""
    if found := machine_go():
        return found
    ours = cache() / TOOLCHAIN
    if not ours.is_dir():
        say(f"no Go {'.'.join(map(str, LEAST_GO))} or newer: fetching {TOOLCHAIN}")
        fetch_toolchain(ours)
    return ours / "bin" / "go"


def machine_go() -> Path | None:
    """Return the machine's Go if it is new enough."""
    found = shutil.which("go")
    return Path(found) if found is not None and _version(found) >= LEAST_GO else None


def machine() -> str:
    """Return the processor as Go calls it."""
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


def _version(go: str) -> tuple[int, ...]:
    environment = {**os.environ, "GOTOOLCHAIN": "local"}
    told = subprocess.run([go, "env", "GOVERSION"], cwd="/", env=environment, capture_output=True, text=True)
    found = re.match(r"go(\d+)\.(\d+)", told.stdout)
    return (int(found[1]), int(found[2])) if found else (0, 0)


def fetch_toolchain(target: Path) -> None:
    """Fetch the pinned Go from Go's module proxy into a folder. Raises: BuildError."""
    if sys.platform != "linux" or machine() not in TOOLCHAIN_SUMS:
        raise BuildError(f"cannot fetch Go for '{sys.platform}/{machine()}': no checksum is pinned; install Go 1.26")
    name = f"golang.org/toolchain@v0.0.1-{TOOLCHAIN}.linux-{machine()}"
    url = f"{module_proxy()}/{name.replace('@', '/@v/')}.zip"
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetching-") as fetching:
        archive = Path(fetching) / "go.zip"
        try:
            with urllib.request.urlopen(url, timeout=60) as answer, archive.open("wb") as out:
                shutil.copyfileobj(answer, out)
        except OSError as error:
            raise BuildError(f"cannot fetch Go from {url}: {error}; install Go 1.26 or set GOPROXY") from None
        if module_sum(archive) != TOOLCHAIN_SUMS[machine()]:
            raise BuildError(f"cannot use {url}: its checksum is not the pinned one; try another GOPROXY")
        _unpack(archive, Path(fetching), name)
        (Path(fetching) / name).rename(target)


def module_proxy() -> str:
    """Return the first module proxy that this machine's Go, however old, is set to use. Raises: BuildError."""
    found = shutil.which("go")
    if found is None:
        raise BuildError("cannot fetch Go: no 'go' on this machine says from where; install Go 1.26, or any older one")
    answer = subprocess.run([found, "env", "GOPROXY"], cwd="/", capture_output=True, text=True)
    proxies = [one for one in re.split("[,|]", answer.stdout.strip()) if ":" in one]
    if not proxies:
        raise BuildError(f"cannot fetch Go: 'go env GOPROXY' names no proxy ({answer.stdout.strip()}); install Go 1.26")
    return proxies[0].rstrip("/")


def module_sum(archive: Path) -> str:
    """Return a module zip's checksum, without its `h1:`. Source: golang.org/x/mod/sumdb/dirhash, Hash1."""
    lines = []
    with zipfile.ZipFile(archive) as files:
        for name in sorted(files.namelist()):
            lines.append(f"{hashlib.sha256(files.read(name)).hexdigest()}  {name}\n")
    return base64.b64encode(hashlib.sha256("".join(lines).encode()).digest()).decode()


def _unpack(archive: Path, target: Path, name: str) -> None:
    with zipfile.ZipFile(archive) as files:
        files.extractall(target)
    # A module zip carries no rights.
    for tools in ("bin", "pkg/tool"):
        for path in (target / name / tools).rglob("*"):
            path.chmod(0o755)


def say(text: str) -> None:
    print(f"servers: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    try:
        print(build())
    except BuildError as refused:
        sys.exit(f"servers: {refused}")
