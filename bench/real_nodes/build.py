"""Build what a node is made of: kubelet, containerd, CNI plugins and the two images, once for each set of sources.

`python -m bench.real_nodes.build` prints the folder. The Go modules are pinned by go.sum, as those of the tests'
servers are; runc must be on the machine (Debian: runc), since it needs C.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from support.servers.build import SETTINGS, BuildError, cache, go, once, say

from bench.real_nodes.images import write_image

SOURCES = Path(__file__).resolve().parent / "programs"
PAUSE_IMAGE, TALK_IMAGE = "whowas.test/pause:1", "whowas.test/talk:1"
_KUBELET = "k8s.io/kubernetes/cmd/kubelet"
_VERSION = "k8s.io/component-base/version.git"
_CONTAINERD = "github.com/containerd/containerd/v2"
_PLUGINS = "github.com/containernetworking/plugins/plugins"


def folder() -> Path:
    """Return where the programs of these sources are, or will be."""
    digest = hashlib.sha256()
    for path in sorted(one for one in SOURCES.rglob("*") if one.is_file()):
        digest.update(path.read_bytes())
    return cache() / f"nodes-{digest.hexdigest()[:16]}"


def build() -> Path:
    """Return the folder; build what is in it first if nobody has. Raises: BuildError."""
    return once(folder(), _make)


def _make(target: Path) -> None:
    (target / "bin").mkdir(parents=True)
    (target / "cni").mkdir()
    say("building a kubelet, containerd and CNI plugins, some seven minutes on two cores, once")
    flags = f"-s -w -X {_VERSION}Version=v1.36.3 -X {_VERSION}Major=1 -X {_VERSION}Minor=36"
    _compile("kubelet", target / "bin", flags, [_KUBELET])
    programs = [f"{_CONTAINERD}/cmd/{name}" for name in ("containerd", "containerd-shim-runc-v2", "ctr")]
    _compile("containerd", target / "bin", f"-s -w -X {_CONTAINERD}/version.Version=v2.4.2", programs)
    plugins = [f"{_PLUGINS}/{name}" for name in ("ipam/host-local", "main/bridge", "main/loopback")]
    _compile("containerd", target / "cni", "-s -w", plugins)
    _compile("talk", target / "bin", "-s -w", ["."])
    talk = (target / "bin" / "talk").read_bytes()
    write_image(target / "pause.tar", PAUSE_IMAGE, {"talk": talk}, ["/talk", "pause"])
    write_image(target / "talk.tar", TALK_IMAGE, {"talk": talk}, ["/talk"])


def _compile(module: str, target: Path, linker: str, packages: list[str]) -> None:
    command = [str(go()), "build", "-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags", linker]
    command += ["-tags", "no_btrfs no_zfs no_devmapper", "-o", f"{target}/", *packages]
    ran = subprocess.run(command, cwd=SOURCES / module, env={**os.environ, **SETTINGS}, capture_output=True, text=True)
    if ran.returncode:
        raise BuildError(f"cannot build {module}: go build failed:\n{ran.stderr[-2000:]}")


if __name__ == "__main__":
    try:
        print(build())
    except BuildError as refused:
        sys.exit(f"servers: {refused}")
