"""One real node: a process to enter by, containerd, a kubelet, and tcpdump where asked."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from pathlib import Path

from support.servers.api import ApiError
from support.servers.control_plane import ControlPlane, wait_until
from support.servers.process import Server

from bench.real_nodes.underlay import NODES

FILES = Path(__file__).resolve().parent / "node"
LAST_HOST = 9  # pods of a node have the addresses .2 to .9: they are soon used again


class Node:
    """A node of the cluster. number: 1 or 2. programs: what build.py made. home: everything that the node writes."""

    def __init__(self, cluster: ControlPlane, number: int, programs: Path, home: Path) -> None:
        self.name = f"n{number}"
        self.home = home
        self._cluster, self._number, self._programs = cluster, number, programs
        self._servers: dict[str, Server] = {}

    def start(self) -> None:
        """Return when the apiserver says that it is ready. Raises: ServerFailed, AssertionError."""
        self._write_files()
        namespaces = ["nsenter", f"--net=/run/netns/{NODES[self._number - 1]}", "unshare", "--mount", "--uts"]
        become = [str(FILES / "become-node.sh"), self.name, str(self._number), str(self.home)]
        pid = self.home / "pid"
        self._launch("node", [*namespaces, "--propagation", "private", "--", *become], lambda: bool(_text(pid)))
        path = f"PATH={self._programs / 'bin'}:{os.environ['PATH']}"
        containerd = ["env", path, str(self._programs / "bin" / "containerd"), "--config"]
        self._launch("containerd", self.inside(*containerd, str(self.home / "containerd.toml")), self._answers)
        for image in ("pause", "talk"):
            self.ctr("images", "import", str(self._programs / f"{image}.tar"))
        self.start_kubelet()
        wait_until(self._is_ready, 90)

    def start_kubelet(self) -> None:
        """Start the kubelet, at first or anew."""
        if "kubelet" in self._servers:
            self._servers["kubelet"].launch()
            return
        flags = [f"--config={self.home / 'kubelet.yaml'}", f"--kubeconfig={self.home / 'kubeconfig'}",
                 f"--hostname-override={self.name}", f"--node-ip=10.10.0.1{self._number}"]  # fmt: skip
        self._launch("kubelet", self.inside(str(self._programs / "bin" / "kubelet"), *flags), lambda: True)

    def kill_kubelet(self) -> None:
        """End the kubelet as a crash would; pods and their addresses live on."""
        self._servers["kubelet"].kill()

    def inside(self, *words: str) -> list[str]:
        """Return a command that runs on the node. Not `ip netns exec`: it hides the cgroups."""
        return ["nsenter", "-t", _text(self.home / "pid"), "-m", "-n", "-u", "--", *words]

    def ctr(self, *words: str) -> str:
        """Ask containerd. Raises: subprocess.CalledProcessError."""
        command = self.inside(str(self._programs / "bin" / "ctr"), "-n", "k8s.io", *words)
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout

    def capture(self, device: str, path: Path, bytes_kept: int, *terms: str) -> None:
        """Write a device's packets until stop_captures()."""
        words = ["tcpdump", "-i", device, "-U", "-n", "-s", str(bytes_kept), "-Z", "root", "-w", str(path), *terms]
        self._launch(f"tcpdump-{device}", self.inside(*words), path.exists)

    def stop_captures(self) -> None:
        """End them in order."""
        for name in [name for name in self._servers if name.startswith("tcpdump")]:
            self._servers.pop(name).stop()

    def kill_sandbox(self, sandbox: str) -> bool:
        """Kill a sandbox's own process: the kubelet makes the pod another one. False: it is gone already."""
        for line in self.ctr("tasks", "ls").splitlines()[1:]:
            words = line.split()
            if words[0] == sandbox:
                os.kill(int(words[1]), signal.SIGKILL)
                return True
        return False

    def calls(self) -> str:
        """Every call of the CNI plugin so far, one a line."""
        path = self.home / "var/lib/cni/calls.log"
        return path.read_text() if path.exists() else ""

    def close(self) -> None:
        """End what runs here; underlay.down() ends the pods."""
        for name in ("kubelet", "containerd", *self._servers):
            if name in self._servers:
                self._servers.pop(name).kill()

    def _launch(self, name: str, command: list[str], ready: object) -> None:
        server = Server(name, command, self.home / f"{name}.log", ready)  # type: ignore[arg-type]
        self._servers[name] = server
        server.start()

    def _answers(self) -> bool:
        try:
            self.ctr("version")
        except subprocess.CalledProcessError:
            return False
        return True

    def _is_ready(self) -> bool:
        try:
            node = self._cluster.api().get(f"/api/v1/nodes/{self.name}")
        except ApiError:
            return False
        conditions = node["status"].get("conditions", ())
        return any(one["type"] == "Ready" and one["status"] == "True" for one in conditions)

    def _write_files(self) -> None:
        targets = {"pods.conflist": "etc/cni/net.d/10-pods.conflist", "kubelet.yaml": "kubelet.yaml",
                   "containerd.toml": "containerd.toml"}  # fmt: skip
        words = {"NUMBER": str(self._number), "LAST": str(LAST_HOST), "NAME": self.name}
        for source, target in targets.items():
            text = (FILES / source).read_text()
            for word, value in words.items():
                text = text.replace(word, value)
            (self.home / target).parent.mkdir(parents=True, exist_ok=True)
            (self.home / target).write_text(text)
        plugins = self.home / "opt/cni/bin"
        shutil.copytree(self._programs / "cni", plugins)
        (plugins / "bridge").rename(plugins / "the-bridge")
        shutil.copy(FILES / "logged-plugin.sh", plugins / "bridge")
        (self.home / "etc/kubernetes/manifests").mkdir(parents=True)
        self._write_kubeconfig()

    def _write_kubeconfig(self) -> None:
        certificate = self._cluster.certificate(f"system:node:{self.name}", ["system:nodes"])
        server = self._cluster.url.replace("127.0.0.1", "10.10.0.1")
        config = json.loads(self._cluster.kubeconfig(certificate=certificate, server=server).read_text())
        config["clusters"][0]["cluster"]["tls-server-name"] = "localhost"  # what the certificate says
        (self.home / "kubeconfig").write_text(json.dumps(config))


def _text(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""
