"""What the findings about goflow2 share: a collector, datagrams, captures, an exporter. Standard library only."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
import time
import urllib.request

Field = tuple[int, ...]  # number of the information element, length, and the enterprise where there is one
FLOW = [(8, 4), (12, 4), (7, 2), (11, 2), (4, 1)]
ADDRESSES = socket.inet_aton("10.0.0.1") + socket.inet_aton("10.0.0.2") + struct.pack("!HHB", 5000, 53, 17)
EXPORTED = 1_700_000_000  # seconds, in the headers of the datagrams made here


def free_port(kind: int) -> int:
    with socket.socket(socket.AF_INET, kind) as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


class Collector:
    """A goflow2 that writes JSON lines to a file. The script ends with exit code 2 if it does not start."""

    def __init__(self, options: str) -> None:
        """Args: options: of its listener, such as `workers=1`."""
        self.port, self._page = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_STREAM)
        self._out = f"out-{self.port}.json"
        command = [
            "goflow2",
            "-listen",
            f"netflow://127.0.0.1:{self.port}?{options}",
            "-addr",
            f"127.0.0.1:{self._page}",
        ]
        command += ["-transport.file", self._out, "-format", "json"]
        self._process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        self._datagrams()

    def _datagrams(self) -> int:
        """How many it has taken so far, by its own count; asked anew until it answers."""
        for _ in range(100):
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self._page}/metrics", timeout=1) as page:
                    lines = page.read().decode().splitlines()
                taken = [line for line in lines if line.startswith("goflow2_flow_traffic_packets_total{")]
                return sum(int(float(line.split()[-1])) for line in taken)
            except OSError:
                time.sleep(0.1)
        sys.exit(2)

    def rows(self, datagrams: int) -> list[dict]:
        """End it when it has taken so many datagrams; return the flows that it wrote."""
        for _ in range(100):
            if self._datagrams() >= datagrams:
                break
            time.sleep(0.1)
        time.sleep(0.5)  # a datagram is counted before it is decoded
        self._process.terminate()
        self._process.wait()
        if not os.path.exists(self._out):
            return []
        with open(self._out) as lines:
            return [json.loads(line) for line in lines]


def send(port: int, *datagrams: bytes) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as exporter:
        for datagram in datagrams:
            exporter.sendto(datagram, ("127.0.0.1", port))


def message(domain: int, number: int, content: bytes) -> bytes:
    """An IPFIX message with one set."""
    return struct.pack("!HHIIIHH", 10, 20 + len(content), EXPORTED, 0, domain, number, 4 + len(content)) + content


def template(domain: int, fields: list[Field]) -> bytes:
    """A message with template 256."""
    words = [struct.pack("!HH", field[0] | (0x8000 if field[2:] else 0), field[1]) for field in fields]
    enterprises = [struct.pack("!I", field[2]) if field[2:] else b"" for field in fields]
    body = b"".join(word + enterprise for word, enterprise in zip(words, enterprises, strict=True))
    return message(domain, 2, struct.pack("!HH", 256, len(fields)) + body)


def packet(source: str, destination: str, port: int) -> bytes:
    """An Ethernet frame with 100 bytes of UDP from this port to port 53."""
    ip = (
        struct.pack("!BBHHHBBH", 0x45, 0, 128, 1, 0, 64, 17, 0)
        + socket.inet_aton(source)
        + socket.inet_aton(destination)
    )
    return b"\2\0\0\0\0\1\2\0\0\0\0\2\x08\0" + ip + struct.pack("!HHHH", port, 53, 108, 0) + b"x" * 100


def write_capture(path: str, packets: list[tuple[float, bytes]]) -> None:
    with open(path, "wb") as out:
        out.write(struct.pack("<IHHIIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, 1))
        for at, frame in packets:
            out.write(struct.pack("<IIII", int(at), round(at % 1 * 1e6), len(frame), len(frame)) + frame)


def exported(capture: str, *options: str) -> list[bytes]:
    """The datagrams that softflowd makes of a capture."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as collector:
        collector.bind(("127.0.0.1", 0))
        collector.settimeout(0.5)
        to = f"127.0.0.1:{collector.getsockname()[1]}"
        command = ["softflowd", "-d", "-r", capture, "-n", to, "-c", "none", "-p", "pid", *options]
        if subprocess.run(command, capture_output=True).returncode:
            sys.exit(2)
        datagrams = []
        while True:
            try:
                datagrams.append(collector.recv(65535))
            except TimeoutError:
                return datagrams
