"""Two nodes as network namespaces with a VXLAN between them, a pod on each, sockets that say what they sent."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

NODES, PODS = ("10.99.0.1", "10.99.0.2"), ("10.98.1.5", "10.98.2.7")
LAST = b"that was the last packet of all"
# struct tcp_info of linux/tcp.h: tcpi_bytes_sent, with what was sent again.
SENT_AT = 200
COMMON = f"""
import json, socket, struct, sys
LAST = {LAST!r}
def sent(one):
    told = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return struct.unpack_from('=Q', told, {SENT_AT})[0]
"""
SERVER = (
    COMMON
    + """
ear = socket.socket(); ear.bind((sys.argv[1], 8080)); ear.listen()
datagrams = socket.socket(type=socket.SOCK_DGRAM); datagrams.bind((sys.argv[1], 5353))
print('up', flush=True)
for line in sys.stdin:
    kind = line.strip()
    if kind == 'tcp':
        one, (_, port) = ear.accept()
        while data := one.recv(65536):
            one.sendall(data[::7])
        one.shutdown(socket.SHUT_WR)
        print(json.dumps([port, sent(one)]), flush=True)
        one.close()
    else:
        data, where = datagrams.recvfrom(65536)
        print(json.dumps([where[1], datagrams.sendto(data[:9], where)]), flush=True)
"""
)
CLIENT = (
    COMMON
    + """
target, kind, sizes = sys.argv[1], sys.argv[2], [int(one) for one in sys.argv[3:]]
if kind == 'tcp':
    one = socket.create_connection((target, 8080), timeout=60)
    for size in sizes:
        one.sendall(bytes(size)); one.recv(65536)
    one.shutdown(socket.SHUT_WR)
    while one.recv(65536): pass
    print(json.dumps([one.getsockname()[1], sent(one)]))
else:
    one = socket.socket(type=socket.SOCK_DGRAM); one.settimeout(60)
    one.connect((target, 5353))
    number = one.send(LAST if kind == 'last' else bytes(range(sizes[0])))
    one.recv(100)
    print(json.dumps([one.getsockname()[1], number]))
"""
)


def ip(*words: object, space: str = "") -> None:
    """Run ip(8), in a namespace where one is named."""
    inside = ["-n", space] if space else []
    subprocess.run(["ip", *inside, *map(str, words)], check=True, capture_output=True)


class TwoNodes:
    """A context: made on entry, gone on exit. `name` keeps runs beside each other apart."""

    def __init__(self, name: str, folder: Path) -> None:
        self.folder = folder
        self.nodes, self.pods = [f"{name}n1", f"{name}n2"], [f"{name}p1", f"{name}p2"]
        self.captures: list[subprocess.Popen[str]] = []

    def __enter__(self) -> TwoNodes:
        try:
            self._build()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _build(self) -> None:
        for space in (*self.nodes, *self.pods):
            ip("netns", "add", space)
        ip("link", "add", "u1", "netns", self.nodes[0], "type", "veth", "peer", "name", "u2", "netns", self.nodes[1])
        for number in (1, 2):
            self._node(number, self.nodes[number - 1], self.pods[number - 1])

    def _node(self, number: int, node: str, pod: str) -> None:
        mine, other = NODES[number - 1], NODES[2 - number]
        ip("addr", "add", f"{mine}/24", "dev", f"u{number}", space=node)
        ip("link", "set", f"u{number}", "up", space=node)
        tunnel = ("id", 4096, "dstport", 4789, "local", mine, "remote", other, "dev", f"u{number}")
        ip("link", "add", "vx0", "type", "vxlan", *tunnel, space=node)
        ip("link", "add", "cni0", "type", "bridge", space=node)
        ip("link", "add", "eth0", "netns", pod, "type", "veth", "peer", "name", "pod", "netns", node)
        for port in ("vx0", "pod"):
            ip("link", "set", port, "master", "cni0", "up", space=node)
        ip("link", "set", "cni0", "up", space=node)
        # Options of TCP would stand between the packets' bytes and the sockets'.
        for word in ("tcp_sack", "tcp_timestamps", "tcp_window_scaling"):
            self.inside(pod, "sysctl", "-qw", f"net.ipv4.{word}=0").wait()
        # The tunnel's header must fit.
        ip("link", "set", "eth0", "mtu", 1450, "up", space=pod)
        ip("addr", "add", f"{PODS[number - 1]}/16", "dev", "eth0", space=pod)

    def __exit__(self, *_: object) -> None:
        for one in self.captures:
            one.terminate()
            one.communicate()
        for space in (*self.pods, *self.nodes):
            subprocess.run(["ip", "netns", "del", space], capture_output=True, check=False)

    def inside(self, space: str, *words: str) -> subprocess.Popen[str]:
        pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(["ip", "netns", "exec", space, *words], **pipes)

    def capture(self, node: int, device: str, *options: str) -> Path:
        """Begin to capture; return when tcpdump listens."""
        path = self.folder / f"node{node}-{device}.pcap"
        one = self.inside(
            self.nodes[node - 1], "tcpdump", "-i", device, *options, "-U", "-Z", "root", "-B", "16384", "-w", str(path)
        )
        self.captures.append(one)
        assert one.stderr is not None
        while "listening on" not in (line := one.stderr.readline()):
            assert line, "tcpdump did not start"
        return path

    def talk(self, talks: list[tuple[str, list[int]]]) -> dict[tuple[str, int], tuple[int, int]]:
        """Let the first pod's sockets talk to the second's. Returns: by protocol and port, bytes each sent."""
        server = self.inside(self.pods[1], sys.executable, "-c", SERVER, PODS[1])
        assert server.stdin is not None
        assert server.stdout is not None
        assert server.stdout.readline().strip() == "up"
        told = {}
        for kind, sizes in [*talks, ("last", [])]:
            print(kind, file=server.stdin, flush=True)
            client = self.inside(self.pods[0], sys.executable, "-c", CLIENT, PODS[1], kind, *map(str, sizes))
            answer = server.stdout.readline()
            out, err = client.communicate()
            assert client.returncode == 0, err
            (port, sent), (seen, returned) = json.loads(out), json.loads(answer)
            assert port == seen
            told[("tcp" if kind == "tcp" else "udp", port)] = (sent, returned)
        server.kill()
        server.communicate()
        return told


def wait_until(happened: Callable[[], bool], seconds: float = 60.0) -> None:
    """Return when something has happened."""
    end = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.05)
